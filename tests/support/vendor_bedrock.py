"""Bedrock's Converse dialect: whole answers, the event stream's binary frames, and a check of SigV4 signatures."""

from __future__ import annotations

import binascii
import json
import re
import struct
from typing import TYPE_CHECKING, Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from vendor import Recorded, Vendor

_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/bedrock/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)"
)


def converse(vendor: Vendor, body: dict[str, Any]) -> dict[str, Any]:
    text, tool = vendor.said(body)
    content: list[dict[str, Any]] = [{"text": text}]
    if tool is not None:
        content = [{"toolUse": {"toolUseId": "tooluse_1", "name": tool[0], "input": tool[1]}}]
    forced = ((body.get("toolConfig") or {}).get("toolChoice") or {}).get("tool") or {}
    if forced.get("name") == "json_tool_call":  # litellm's way to have a schema kept
        content = [{"toolUse": {"toolUseId": "tooluse_1", "name": forced["name"], "input": json.loads(text)}}]
        tool = (forced["name"], {})
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "tool_use" if tool else "end_turn",
        "usage": {
            "inputTokens": 10,
            "cacheReadInputTokens": 5,
            "cacheWriteInputTokens": 7,
            "outputTokens": 4,
            "totalTokens": 26,
        },
        "metrics": {"latencyMs": 1},
    }


def converse_frames(vendor: Vendor, body: dict[str, Any]) -> list[bytes]:
    whole = converse(vendor, body)
    (block,) = whole["output"]["message"]["content"]
    if "text" in block:
        half = len(block["text"]) // 2
        start, deltas = None, [{"text": part} for part in (block["text"][:half], block["text"][half:])]
    else:
        use = block["toolUse"]
        start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
        text = json.dumps(use["input"])
        half = len(text) // 2
        deltas = [{"toolUse": {"input": part}} for part in (text[:half], text[half:])]
    return [
        frame("messageStart", {"role": "assistant"}),
        *([frame("contentBlockStart", {"contentBlockIndex": 0, "start": start})] if start else []),
        *(frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}) for delta in deltas),
        frame("contentBlockStop", {"contentBlockIndex": 0}),
        frame("messageStop", {"stopReason": whole["stopReason"]}),
        frame("metadata", {"usage": whole["usage"], "metrics": whole["metrics"]}),
    ]


def frame(name: str, payload: dict[str, Any], kind: str = "event") -> bytes:
    """One message of AWS's event stream: lengths and their checksum, headers, payload, checksum of it all."""
    named = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    headers = b"".join(_header(key, value) for key, value in named.items())
    content = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(content), len(headers))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + headers + content
    return message + struct.pack("!I", binascii.crc32(message))


def _header(name: str, value: str) -> bytes:
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()


def signer(recorded: Recorded, url: str, secrets: dict[str, str]) -> tuple[str, str] | None:
    """(access key, region) of a request whose SigV4 signature is right; None where it is not.

    `secrets` maps access keys to their secrets. The signature is made anew by AWS's own code of what arrived.
    """
    found = _SIGNED.fullmatch(recorded.headers.get("authorization", ""))
    if found is None or found[1] not in secrets:
        return None
    key, region, names, signature = found.groups()
    headers = {name: recorded.headers[name] for name in names.split(";")}
    request = AWSRequest("POST", f"{url}{recorded.raw_path}", headers=headers, data=recorded.raw)
    request.context["timestamp"] = recorded.headers["x-amz-date"]
    auth = SigV4Auth(Credentials(key, secrets[key]), "bedrock", region)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return (key, region) if auth.signature(text, request) == signature else None
