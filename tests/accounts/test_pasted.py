"""What people paste: the secret comes out as it is or is refused in one line; it is never cut, never kept quoted."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given, strategies as some

from claude_accounts.accounts import entries, pasted
from claude_accounts.messages import InvalidInput

KEY = "sk-ant-api03-" + "k_1-" * 23 + "AAA"
TOKEN = "sk-ant-oat01-" + "T-2_" * 23 + "AAA"
PLACEHOLDER = "sk-ant-api03-xxxxx"
BARE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# A gateway's key may be anything that no shell, no file of settings and no mail puts around one.
GATEWAYS = "".join(chr(code) for code in range(33, 127) if chr(code) not in "\"'`;\\=,")

WRAPPINGS = [
    "{}",
    "  {}\t",
    "{}\n",
    "{}\r\n",
    "\n\n{}\n\n",
    "\ufeff{}",
    "\xa0{}\u202f",
    "\u200b{}\u2060\u200d",
    '"{}"',
    "'{}'",
    "`{}`",
    "\u201c{}\u201d",
    "\u2018{}\u2019",
    "\u201e{}\u201c",
    "\xab {} \xbb",
    "\"'{}'\"",
    '\\"{}\\"',
    "{};",
    "{},",
    '"{}",',
    "'{}';\n",
    "export ANTHROPIC_API_KEY={}",
    'export CLAUDE_CODE_OAUTH_TOKEN="{}"',
    "export A='{}';",
    "declare -x A={}",
    "set -x ANTHROPIC_API_KEY {}",
    "set -gx ANTHROPIC_API_KEY '{}'",
    "set --export --universal ANTHROPIC_API_KEY {}",
    "set ANTHROPIC_API_KEY={}",
    "setx ANTHROPIC_API_KEY {}",
    "setenv ANTHROPIC_API_KEY {}",
    '$env:ANTHROPIC_API_KEY="{}"',
    '$Env:ANTHROPIC_API_KEY = "{}"',
    "ANTHROPIC_API_KEY={}",
    "ANTHROPIC_API_KEY = '{}'",
    "my_token={}",
    "ENV ANTHROPIC_API_KEY={}",
    'Environment="ANTHROPIC_API_KEY={}"',
    "- ANTHROPIC_API_KEY={}",
    "ANTHROPIC_API_KEY: {}",
    "  ANTHROPIC_API_KEY: '{}'",
    '"ANTHROPIC_API_KEY": "{}"',
    '"ANTHROPIC_API_KEY": "{}",',
    '{{ "apiKey": "{}" }}',
    "Bearer {}",
    "bearer {}",
    "Authorization: Bearer {}",
    "x-api-key: {}",
    "x-api-key:{}",
    '-H "x-api-key: {}"',
    "--key {}",
    "\x1b[200~{}\x1b[201~",
    "\x1b[32m{}\x1b[0m",
    "\u2502 {} \u2502",
]


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("secret", [KEY, TOKEN, PLACEHOLDER, "sk-litellm.1234/5+6"])
def test_what_was_copied_along_comes_off(wrapping: str, secret: str) -> None:
    assert pasted.cleaned(wrapping.format(secret)) == secret


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (b"", "cp1252"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
def test_bytes_are_read_in_the_encoding_that_they_have(mark: bytes, encoding: str) -> None:
    assert pasted.cleaned(mark + f'"{KEY}"\r\n'.encode(encoding)) == KEY
    if encoding == "cp1252" or mark:
        assert pasted.cleaned(mark + f"\xa0\u201c{KEY}\u201d\r\n".encode(encoding)) == KEY


@pytest.mark.parametrize(
    "given",
    [
        "",
        " \n\t ",
        '""',
        "ANTHROPIC_API_KEY=",
        f'"{KEY}',
        f'{KEY}"',
        f"{KEY}={KEY}",
        f"{KEY[:60]}={KEY[:60]}",
        f"{KEY[:40]}key={KEY}",
        f"{KEY};{KEY}",
        f"{KEY} {KEY}",
        f"{KEY}\n{KEY}",
        f"A={KEY}\nB={TOKEN}",
        KEY + "é",
        KEY + "\u200bk",
        KEY.replace("-", "\u2013"),
        KEY[:40] + "\x00" + KEY[40:],
        KEY[:40] + "\x07" + KEY[40:],
        KEY + "\\n",
        "my secret",
        "$ANTHROPIC_API_KEY",
        "${ANTHROPIC_API_KEY}",
        "$(cat key)",
        "%ANTHROPIC_API_KEY%",
        "<your key>",
        "sk-ant-api03-...kkkkkk",
        KEY[:20] + "..." + KEY[-4:],
        "sk-ant-api03-****",
        KEY[:24] + "*" * 84,
        "...kkkkkk",
        "********",
        "op://Private/Anthropic/credential",
        "\ud800",
        "k" * 8193,
        "k" * 70000,
        ";" * 65000,
        b"\xff\xfek",
        b"\x81\x8d\x8f",
        f"{KEY}\n".encode("utf-16-le") + b"\n",
        f"Your OAuth token (valid for 1 year):\n\n{TOKEN}\n\nStore this token securely.",
    ],
)
def test_what_is_no_single_secret_is_refused_in_one_line_that_does_not_repeat_it(given: bytes | str) -> None:
    with pytest.raises(InvalidInput) as raised:
        pasted.cleaned(given, "api_key")
    told = raised.value.message + raised.value.hint
    assert "\n" not in told and told.isprintable() and KEY[20:40] not in told
    assert raised.value.message.startswith("api_key ") and raised.value.field == "api_key"


@pytest.mark.parametrize("secret", [KEY, TOKEN])
@pytest.mark.parametrize(
    "between",
    ["\n", "\r\n", "\n  ", " \n", "\n\n", " ", "\xa0", "\u2028", "\u200b", " \u2502\n\u2502 ", "\\\n"]
    + ["\x1b[13;1u", "\x1b[13u", "\x1b[106;5u  ", "\x1b[27;5;106~", "\x1b[K\n"],
)
@pytest.mark.parametrize("width", [80, 54, 40, 107, 13])
def test_a_secret_that_a_terminal_broke_is_joined(secret: str, between: str, width: int) -> None:
    pieces = [secret[at : at + width] for at in range(0, len(secret), width)]
    for wrapping in ("{}", '"{}"\n', "export A={}", "\x1b[200~{}\x1b[201~"):
        assert pasted.cleaned(wrapping.format(between.join(pieces))) == secret


@given(some.text(GATEWAYS, min_size=1, max_size=120), some.sampled_from(WRAPPINGS))
def test_a_secret_comes_out_of_its_wrapping_as_it_went_in(secret: str, wrapping: str) -> None:
    try:
        bare = pasted.cleaned(secret)
    except InvalidInput:
        # A placeholder or the beginning of a header is no secret, however it is wrapped.
        return
    assert bare == secret or bare in secret.partition(":")[2]
    try:
        assert pasted.cleaned(wrapping.format(bare)) == bare
    except InvalidInput:
        assert set(bare) & set("{}<>%$:") or bare.startswith("-")


@given(some.text(BARE, min_size=1, max_size=140), some.data())
def test_whatever_breaks_a_secret_it_is_whole_or_refused(secret: str, data: some.DataObject) -> None:
    places = data.draw(some.sets(some.integers(0, len(secret)), max_size=4))
    between = data.draw(some.sampled_from(["\n", "\r\n", " ", "\n    ", "\xa0", ";\n", '"\n"', "\\\n"]))
    given = "".join((between if at in places else "") + letter for at, letter in enumerate(secret + " "))
    try:
        assert pasted.cleaned(given) == secret
    except InvalidInput:
        assert places


@given(some.one_of(some.text(max_size=60), some.binary(max_size=60), some.text(KEY + " \n\"'=;:", max_size=60)))
def test_what_comes_out_is_a_bare_part_of_what_went_in(given: bytes | str) -> None:
    try:
        secret = pasted.cleaned(given)
    except InvalidInput as error:
        assert "\n" not in error.message + error.hint
        return
    assert secret and secret.isascii() and secret.isprintable() and not set(secret) & set("\"'`; \\")
    assert pasted.cleaned(secret) == secret
    if isinstance(given, str):
        assert secret in "".join(given.split()) or len(secret) == 108


@pytest.mark.parametrize(
    ("secret", "kind", "as_key", "as_token"),
    [
        (KEY, pasted.API_KEY, "", "an API key"),
        (TOKEN, pasted.ACCESS_TOKEN, "an OAuth token", ""),
        ("sk-ant-api04-" + "k" * 20, pasted.API_KEY, "", "an API key"),
        (KEY[:80], pasted.API_KEY, "80 characters instead of 108: it may be cut", "an API key"),
        (KEY + KEY, pasted.API_KEY, "216 characters instead of 108", "an API key"),
        (PLACEHOLDER, pasted.API_KEY, "18 characters", "an API key"),
        (TOKEN[:80], pasted.ACCESS_TOKEN, "an OAuth token", "80 characters"),
        ("sk-ant-ort01-" + "r" * 95, pasted.REFRESH_TOKEN, "an OAuth token", "a refresh token"),
        ("sk-ant-admin01-" + "a" * 95, pasted.ADMIN_KEY, "an admin key", "an admin key"),
        ("sk-ant-sid01-" + "a" * 95, pasted.SESSION_KEY, "the session of a browser", "the session of a browser"),
        ("sk-proj-" + "a" * 40, pasted.VENDOR_KEY, "a key of OpenAI", "a key of OpenAI"),
        ("AIza" + "a" * 35, pasted.VENDOR_KEY, "a key of Google", "a key of Google"),
        (TOKEN + "#state", pasted.ACCESS_TOKEN, "an OAuth token", "holds #, which"),
        ("aBcD1234#eFgH5678", pasted.UNKNOWN, "does not begin like an API key", "the code of the sign-in page"),
        ("hello", pasted.UNKNOWN, "does not begin like an API key", "does not begin like a token"),
    ],
)
def test_what_is_odd_is_said_and_what_is_usual_is_not(secret: str, kind: str, as_key: str, as_token: str) -> None:
    assert pasted.kind(secret) == kind
    for auth_type, words in ((entries.API_KEY, as_key), (entries.OAUTH, as_token)):
        doubt = pasted.doubt(secret, auth_type)
        assert words in doubt and bool(doubt) == bool(words)
        assert secret[14:30] not in doubt or len(secret) < 30


def test_what_a_gateway_calls_a_key_keeps_its_padding() -> None:
    padded = "c29tZSBnYXRld2F5IGlkZW50aXR5IQ=="
    assert pasted.cleaned(f"export ANTHROPIC_API_KEY='{padded}'") == pasted.cleaned(padded) == padded


def test_every_way_in_checks_through_the_one_place() -> None:
    assert entries.checked_secret(f'export ANTHROPIC_API_KEY="{KEY}"\n', "api_key", entries.API_KEY) == KEY
    entry = {"name": "work", "auth_type": "oauth", "access_token": f"\ufeff{TOKEN[:80]}\n{TOKEN[80:]}"}
    assert entries.checked_entry(entry)["access_token"] == TOKEN
