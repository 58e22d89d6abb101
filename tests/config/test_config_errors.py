from __future__ import annotations

import pytest
from config_support import POLICIES, TODAY

from app.config import file as config_file
from app.config import ladder
from app.config.environment import Environment, Variables
from router.errors import ConfigError

GOOD = """\
tiers:
  - name: small
    deployments:
      - {model: openai/gpt-5-nano}
  - name: large
    deployments: [{model: openai/gpt-5.5}]
"""

#: What is appended to GOOD (whose last line is 6), the line at fault, and words of the message.
APPENDED = {
    "unknown key": (
        "alias: {}\n",
        7,
        ["alias: unknown key", 'did you mean "aliases"?', "Allowed here: tiers, aliases"],
    ),
    "unknown inner key": ("judge:\n  max_token: 5\n", 8, ["judge.max_token", 'did you mean "max_tokens"?']),
    "unknown deep key": ("server: {extras: {cost: true}}\n", 7, ["server.extras.cost", "usage_cost, gearbox_object"]),
    "text for a number": (
        'judge:\n  max_tokens: "5"\n',
        8,
        ["judge.max_tokens", "must be a valid integer", "is a text"],
    ),
    "boolean for a number": ("retries: {attempts: true}\n", 7, ["retries.attempts", "and is true"]),
    "number for a boolean": ("keys:\n  - key: a\n    admin: 1\n", 9, ["keys[0].admin", "boolean", "and is 1"]),
    "a list for a mapping": ("store: []\n", 7, ["store", "a list of 0"]),
    "out of range": ("retries:\n\n  attempts: 99\n", 9, ["retries.attempts", "less than or equal to 20", "and is 99"]),
    "not a number": ("timeouts: {total_s: .nan}\n", 7, ["timeouts.total_s", "finite"]),
    "not one of": ("judge: {fail: opne}\n", 7, ["judge.fail", "one of open, closed", 'did you mean "open"?']),
    "verifier without its key": (
        "verifiers:\n  - {name: a, kind: regex}\n",
        8,
        ["verifiers[0].kind", "a verifier of kind regex needs `pattern`"],
    ),
    "verifier with a command that is no text": (
        "verifiers:\n  - name: a\n    kind: command\n    command: [true]\n",
        10,
        ["verifiers[0].command[0]", "valid string"],
    ),
    "verifier with a key of another kind": (
        'verifiers:\n  - name: a\n    kind: command\n    command: ["true"]\n    url: http://x\n',
        11,
        ["verifiers[0].url: belongs to another kind of verifier than command"],
    ),
    "verifier named twice": (
        "verifiers:\n  - {name: a, kind: http, url: http://x}\n  - {name: a, kind: http, url: http://x}\n",
        9,
        ['a verifier named "a" stands above already'],
    ),
    "verifier with a name of ours": (
        "verifiers:\n  - {name: empty, kind: http, url: http://x}\n",
        8,
        ['"empty" is the name of a check of our own'],
    ),
    "verifier with a broken pattern": (
        'verifiers:\n  - name: a\n    kind: regex\n    pattern: "("\n',
        10,
        ["verifiers[0].pattern: is no regular expression"],
    ),
    "verifier with a broken schema": (
        "verifiers:\n  - name: a\n    kind: json_schema\n    schema: {type: nonsense}\n",
        10,
        ["verifiers[0].schema: is no JSON schema"],
    ),
    "verifier with a match that there is not": (
        "verifiers:\n  - {name: a, kind: http, url: http://x, match: {tags: b}}\n",
        8,
        ["verifiers[0].match.tags: unknown key", 'did you mean "tag"?', "tag, model, schema"],
    ),
    "missing key": ("keys:\n  - team: a\n", 8, ["keys[0].key", "is missing"]),
    "twice": ("judge: {}\njudge: {}\n", 8, ["judge: this key stands twice, first on line 7"]),
    "twice inside": ("keys: [{key: a, key: b}]\n", 7, ["keys[0].key: this key stands twice"]),
    "unset variable": (
        "keys:\n  - key: os.environ/OPENAI_API_KEI\n",
        8,
        ["OPENAI_API_KEI is not set", "OPENAI_API_KEY"],
    ),
    "alias to nowhere": (
        'aliases:\n  "gpt-*": autoo\n',
        8,
        ['"autoo" is no policy and no tier', 'did you mean "auto"?'],
    ),
    "alias like a tier": ("aliases: {small: auto}\n", 7, ["is the name of a tier already"]),
    "alias like a policy": ("aliases: {auto: small}\n", 7, ["is the name of a policy already"]),
    "alias of a wrong type": ("aliases: {x: 1}\n", 7, ["aliases.x", "valid string", "and is 1"]),
    "unknown default policy": ("policy:\n  default: atuo\n", 8, ["policy.default", 'did you mean "auto"?']),
    "unknown policy": ("policy:\n  llm_at: {}\n", 8, ["policy.llm_at", 'did you mean "llm-at"?']),
    "policy is no mapping": ("policy: {llm-at: 3}\n", 7, ["policy.llm-at", "and is 3"]),
    "unknown policy setting": ("policy:\n  llm-at:\n    k: 5\n    thresh: 1\n", 10, ["llm-at has no setting thresh"]),
    "bad policy setting": (
        "policy:\n  llm-at:\n    lambda: much\n",
        9,
        ["policy.llm-at.lambda: lambda must be a number"],
    ),
    "same key twice": ("keys:\n  - {key: a}\n  - {key: a}\n", 9, ["this key stands above already"]),
    "same id twice": ("keys:\n  - {key: a, id: x}\n  - {key: b, id: x}\n", 9, ["this id stands above already"]),
    "empty key": ('keys: [{key: ""}]\n', 7, ["keys[0].key", "must not be empty"]),
    "store of another kind": ("store: {url: mysql://x}\n", 7, ["store.url", "postgresql+asyncpg://"]),
    "redis of another kind": ("redis: {url: http://x}\n", 7, ["redis.url", "redis://"]),
    "broken YAML": ("judge: {\n", 8, ["not valid YAML"]),
    "two documents": ("---\ntiers: []\n", 7, ["not valid YAML"]),
    "unknown tag": ("store: !!python/object:x.Y {}\n", 7, ["not valid YAML"]),
    "a loop": ("judge: &a\n  max_tokens: *a\n", 7, ["contains itself"]),
}
#: The text of the whole file, the line at fault, and words of the message.
WHOLE = {
    "a list": ("- a\n", 1, ["must be a mapping"]),
    "no tiers and an alias to none": ("aliases: {a: tiny}\n", 1, ['"tiny" is no policy and no tier']),
    "tiers empty": ("judge: {}\ntiers: []\n", 2, ["tiers: at least one tier is needed", "- name: small"]),
    "no deployments": ("tiers:\n  - name: a\n    deployments: []\n", 3, ["tiers[0].deployments", "must not be empty"]),
    "deployments missing": ("tiers:\n  - name: a\n", 2, ["tiers[0].deployments: is missing"]),
    "a typo in a deployment": (
        "tiers:\n  - name: a\n    deployments:\n      - {modle: x}\n",
        4,
        ["modle", 'did you mean "model"?'],
    ),
    "a bad name": (
        'tiers:\n  - name: "a,b"\n    deployments: [{model: openai/o1}]\n',
        2,
        ["tiers[0].name", "may hold letters"],
    ),
    "a policy's name": (
        "tiers:\n  - name: auto\n    deployments: [{model: openai/o1}]\n",
        2,
        ["is the name of a policy"],
    ),
    "same name twice": (GOOD.replace("large", "small"), 5, ["tier names are unique"]),
    "unknown judge": (GOOD + "    judge: lrage\n", 7, ["tiers[1].judge", 'did you mean "large"?']),
    "prior out of range": (GOOD + "    prior_accuracy: 1.5\n", 7, ["tiers[1].prior_accuracy", "and is 1.5"]),
    "a negative price": (
        GOOD + "    price: {input_usd_per_mtok: -1, output_usd_per_mtok: 1}\n",
        7,
        ["greater than or equal to 0"],
    ),
    "half a price": (GOOD + "    price: {input_usd_per_mtok: 1}\n", 7, ["output_usd_per_mtok: is missing"]),
    "no address": (GOOD.replace("gpt-5-nano}", "gpt-5-nano, api_base: localhost}"), 4, ["api_base", "https://host/v1"]),
    "hints to a vendor": (GOOD.replace("gpt-5-nano}", "gpt-5-nano, hints: true}"), 4, ["never for a vendor"]),
    "hints to a vendor's address": (
        GOOD.replace("gpt-5-nano}", 'x, api_base: "https://api.openai.com/v1", hints: true}'),
        4,
        ["never for a vendor"],
    ),
    "an unknown capability": (
        GOOD.replace("nano}", "nano, capabilities: {tool: true}}"),
        4,
        ["one of tools", 'did you mean "tools"?'],
    ),
}
LADDER = {
    "no price": (GOOD.replace("gpt-5-nano", "gpt-0"), 4, ['tier "small" has no price', "price: {input_usd_per_mtok"]),
    "nobody's model": (GOOD.replace("openai/gpt-5-nano", "my-own"), 4, ["provider/name, or add api_base"]),
    "nobody's model for litellm": (GOOD.replace("openai/gpt-5-nano", "my-own, adapter: litellm"), 4, ["provider/name"]),
    "no key": (GOOD.replace("openai/gpt-5-nano", "groq/openai/gpt-oss-20b"), 4, ["export GROQ_API_KEY"]),
    "no address": (GOOD.replace("openai/gpt-5-nano", "custom_openai/x"), 4, ["needs its address"]),
}


@pytest.mark.parametrize("row", APPENDED.values(), ids=APPENDED)
def test_an_error_names_file_line_key_and_cure(read, row):
    addition, line, words = row
    with pytest.raises(ConfigError) as caught:
        read(GOOD + addition)
    assert f"gearbox.yaml:{line}: " in caught.value.message
    assert [word for word in words if word not in caught.value.message] == []


@pytest.mark.parametrize("row", WHOLE.values(), ids=WHOLE)
def test_an_error_in_the_tiers_names_its_line(read, row):
    text, line, words = row
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert f"gearbox.yaml:{line}: " in caught.value.message
    assert [word for word in words if word not in caught.value.message] == []


@pytest.mark.parametrize("row", LADDER.values(), ids=LADDER)
def test_a_tier_that_cannot_be_asked_or_billed_is_an_error_at_start(read, catalog, row):
    text, line, words = row
    with pytest.raises(ConfigError) as caught:
        ladder.from_config(read(text), Variables({"OPENAI_API_KEY": "k"}), catalog)
    assert f"gearbox.yaml:{line}: " in caught.value.message
    assert [word for word in words if word not in caught.value.message] == []


def test_every_fault_is_told_at_once(read):
    with pytest.raises(ConfigError) as caught:
        read(GOOD + "jugde: {}\nretries: {attempts: 0}\n")
    assert [line.split(": ")[0] for line in caught.value.message.splitlines()] == ["gearbox.yaml:7", "gearbox.yaml:8"]


def test_a_secret_is_never_in_an_error(read):
    with pytest.raises(ConfigError) as caught:
        read(
            GOOD + "keys: [{key: hunter2-key, team: 5}]\nstore: {url: 'mysql://u:hunter2@h/d'}\nredis: {uri: hunter2}\n"
        )
    assert "hunter2" not in str(caught.value)


def test_an_empty_variable_counts_as_unset(read):
    with pytest.raises(ConfigError, match="K is not set"):
        read(GOOD + "keys: [{key: os.environ/K}]\n", {"K": ""})


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), (b"\xff\xfe", "not UTF-8")])
def test_an_unreadable_file_is_an_error_that_says_so(tmp_path, catalog, content, words):
    path = tmp_path / "gearbox.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        config_file.load(path, Variables({}), catalog, POLICIES, TODAY)


@pytest.mark.parametrize(
    ("name", "value"), [("GEARBOX_PORT", "eighty"), ("GEARBOX_PORT", "70000"), ("GEARBOX_LOG_LEVEL", "loud")]
)
def test_a_bad_variable_of_ours_is_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        Environment.read()
