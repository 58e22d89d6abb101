"""What Azure, Bedrock and Vertex ask for beside a key and an address, under LiteLLM's names.

The law of this file: shapes, and whose each key is; pure. The values go to the litellm adapter as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import BaseModel, Field, SecretStr

from router.endpoints import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

_Text: TypeAlias = Annotated[str, Field(min_length=1)]
_Hidden: TypeAlias = Annotated[SecretStr, Field(min_length=1)]

_AZURE, _AWS, _VERTEX = ("azure",), ("bedrock", "sagemaker"), ("vertex_ai",)


class VendorKeys(BaseModel):
    """Keys that one vendor alone knows; `vertex_credentials` is a service account's JSON, or the path of its file."""

    api_version: _Text | None = None
    azure_ad_token: _Hidden | None = None
    tenant_id: _Text | None = None
    client_id: _Text | None = None
    client_secret: _Hidden | None = None

    aws_region_name: _Text | None = None
    aws_access_key_id: _Hidden | None = None
    aws_secret_access_key: _Hidden | None = None
    aws_session_token: _Hidden | None = None
    aws_profile_name: _Text | None = None
    aws_role_name: _Text | None = None
    aws_session_name: _Text | None = None
    aws_external_id: _Hidden | None = None
    aws_web_identity_token: _Hidden | None = None
    aws_sts_endpoint: _Text | None = None
    aws_bedrock_runtime_endpoint: _Text | None = None

    vertex_project: _Text | None = None
    vertex_location: _Text | None = None
    vertex_credentials: _Hidden | None = None

    def vendor_keys(self) -> Iterator[tuple[str, str | Secret]]:
        """Each key that is given, and its value; a secret as one."""
        for name in NAMES:
            value = getattr(self, name)
            if value is not None:
                yield name, Secret(value.get_secret_value()) if isinstance(value, SecretStr) else value


NAMES = tuple(VendorKeys.model_fields)


def fits(key: str, provider: str) -> bool:
    """Whether a key is this provider's: `aws_region_name` is bedrock's and sagemaker's, in all their variants."""
    return provider.startswith(owners(key))


def owners(key: str) -> tuple[str, ...]:
    """The vendors that know a key of `NAMES`."""
    if key.startswith("aws_"):
        return _AWS
    return _VERTEX if key.startswith("vertex_") else _AZURE
