"""Owns what is made of a pasted credential: the bare secret out of its wrapping or a refusal, and what is odd about it.

Everything is given; nothing is read, stored or asked here. Nothing is ever cut off the secret itself.
"""

import codecs
import re

from ..messages import InvalidInput, _

# What a credential can be by its beginning.
API_KEY = "api_key"
ACCESS_TOKEN = "access_token"  # noqa: S105 - a kind, not a secret
REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a kind, not a secret
ADMIN_KEY = "admin_key"
SESSION_KEY = "session_key"
VENDOR_KEY = "vendor_key"
UNKNOWN = ""

_LONGEST_SECRET = 8192
# More than this is no pasted secret, whatever it is wrapped in; no pattern is tried on it.
_LONGEST_PASTE = 65536
_MOST_LAYERS = 12
_KINDS = {
    "sk-ant-api": API_KEY,
    "sk-ant-oat": ACCESS_TOKEN,
    "sk-ant-ort": REFRESH_TOKEN,
    "sk-ant-admin": ADMIN_KEY,
    "sk-ant-sid": SESSION_KEY,
}
_USUAL_LENGTHS = {
    "sk-ant-api03-": 108,
    "sk-ant-oat01-": 108,
    "sk-ant-ort01-": 108,
    "sk-ant-admin01-": 110,
}
_VENDORS = {
    "sk-proj-": "OpenAI",
    "sk-svcacct-": "OpenAI",
    "sk-admin-": "OpenAI",
    "sk-or-": "OpenRouter",
    "sk-lf-": "Langfuse",
    "AIza": "Google",
    "ya29.": "Google",
    "gsk_": "Groq",
    "xai-": "xAI",
    "pplx-": "Perplexity",
    "hf_": "Hugging Face",
    "r8_": "Replicate",
    "nvapi-": "NVIDIA",
    "fw_": "Fireworks",
    "ghp_": "GitHub",
    "gho_": "GitHub",
    "ghs_": "GitHub",
    "github_pat_": "GitHub",
    "glpat-": "GitLab",
    "AKIA": "AWS",
    "ASIA": "AWS",
    "ABSK": "AWS",
    "npm_": "npm",
    "pypi-": "PyPI",
    "xoxb-": "Slack",
    "sk_live_": "Stripe",
    "sk_test_": "Stripe",
}
# Byte order mark, soft hyphen, zero-width spaces and joiners, marks of direction: nobody sees that they are there. And
# the frame that a terminal program may have drawn around it. All are no more than a blank.
_BLANKS = dict.fromkeys(
    [0xFEFF, 0xAD, 0x34F, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)]
    + [*range(0x2500, 0x2580)],
    " ",
)
# Where a paste begins and ends, colours, "nothing more on this line", links.
_TERMINAL_MARKS = r"\x1b\[(?:20[01]~|[0-9;]*[mK])|\x1b\]8;[^\x07\x1b]*(?:\x07|\x1b\\)"
# A line's end in a paste, as tmux writes it where keys are told at length; and one that a shell would pass over.
_LINE_ENDS = r"\x1b\[(?:1[03]|10[69])(?:;[0-9]{1,2})?u|\x1b\[27;[0-9]{1,2};(?:1[03]|10[69])~|\\\r?\n"
_QUOTES = (
    ('"', '"'),
    ("'", "'"),
    ("`", "`"),
    ('\\"', '\\"'),
    ("\\'", "\\'"),
    ("\u201c", "\u201d"),
    ("\u201d", "\u201d"),
    ("\u201e", "\u201c"),
    ("\u201e", "\u201d"),
    ("\u2018", "\u2019"),
    ("\u2019", "\u2019"),
    ("\u201a", "\u2018"),
    ("\u201a", "\u2019"),
    ("\u00ab", "\u00bb"),
    ("\u00bb", "\u00ab"),
    ("\u2039", "\u203a"),
    ("\uff02", "\uff02"),
)
# A secret is no name of another.
_NAME = r"(?!sk-)[A-Za-z_][A-Za-z0-9_.-]{0,99}"
_TELLING = r"(?!sk-)(?i:[A-Za-z0-9_.-]{0,60}(?:key|token|secret|credential|auth)[A-Za-z0-9_.-]{0,60})"
_HEADER = r"(?i:(?:anthropic-|x-)?api-key|(?:x-|proxy-)?authorization)"
_QUOTE = "[\"'`]"
_MAY = r"\s{0,20}"
_GAP = r"\s{1,20}"
_OPTIONS = r"(?:\s{1,20}-{1,2}[a-zA-Z]{1,20}){0,5}"
# Each of these holds a blank, a quote or `=`, which no secret does, or is the header's name that the API itself knows.
_WRAPPING = "|".join(
    (
        rf"(?:export|declare|typeset|readonly|env|set|ENV|ARG|const|let|var){_OPTIONS}{_GAP}{_NAME}{_MAY}[=:]{_MAY}",
        rf"(?i:setenv|setx|set|env){_OPTIONS}{_GAP}{_NAME}{_GAP}(?=\S)",
        rf"(?i:\$env:){_NAME}{_MAY}={_MAY}",
        rf"Environment{_MAY}={_MAY}(?={_QUOTE}?{_NAME}=)",
        rf"(?:-{_GAP})?{_TELLING}{_MAY}:?={_MAY}",
        rf"(?:-{_GAP})?{_NAME}{_MAY}={_MAY}(?={_QUOTE}?sk-)",
        rf"{_QUOTE}{_NAME}{_QUOTE}{_MAY}[:=]{_MAY}",
        rf"(?:-{_GAP})?{_TELLING}{_MAY}:{_GAP}",
        rf"{_TELLING}{_MAY}:(?={_QUOTE}?sk-ant-)",
        rf"{_HEADER}{_MAY}:{_MAY}",
        rf"(?i:bearer){_GAP}",
        rf"(?:-H|--header|--key|--token|-k)(?:{_GAP}|=)",
    )
)
# As lists show a credential, ours too.
_SHORTENED = r"[A-Za-z0-9_-]*(?:\.{3}|\*{3})[A-Za-z0-9_.*-]*"
_REFERENCE = rf"\$\{{?{_NAME}\}}?|\$\(.*\)|%{_NAME}%|\{{\{{.*\}}\}}|<.*>|op://.*|{_SHORTENED}"


def cleaned(given: bytes | str, field: str = "") -> str:
    """Return the one secret that was pasted, whole and without what was copied along with it.

    Off come encodings, blanks, invisible characters, quotes, a last `;` or `,`, and what names it (`export NAME=`,
    `"NAME": `, `Bearer `). One that a terminal broke over lines is joined where that is unmistakable. Raises
    InvalidInput, of one line and with `field`, for everything else that is no secret: the text itself is not repeated.
    """
    if isinstance(given, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,8192}", given):
        # Nothing stands around it; an import of thousands should not look for it.
        return given
    if len(given) > _LONGEST_PASTE:
        raise InvalidInput(_("{field} is too long", field=_called(field)), field=field)
    plain = re.sub(_LINE_ENDS, "\n", re.sub(_TERMINAL_MARKS, "", _decoded(given, field)))
    text = plain.translate(_BLANKS)
    for _layer in range(_MOST_LAYERS):
        text = _unwrapped(text.strip())
    text = text.strip()
    if not text:
        raise InvalidInput(_("{field} is empty", field=_called(field)), field=field)
    secret = _joined(text, field)
    _refuse_left_over(secret, field)
    if len(secret) > _LONGEST_SECRET:
        raise InvalidInput(_("{field} is too long", field=_called(field)), field=field)
    return secret


def kind(secret: str) -> str:
    """Return what a cleaned secret is by its beginning: one of the kinds above, UNKNOWN for what may be anything."""
    for prefix, found in _KINDS.items():
        if secret.startswith(prefix):
            return found
    return VENDOR_KEY if _vendor(secret) else UNKNOWN


def doubt(secret: str, auth_type: str) -> str:
    """Return a sentence on why this can hardly be the credential of such an account; "" where nothing is odd.

    `auth_type` is `api_key` or `oauth`. A doubt is a question or a warning, never a reason to refuse a script.
    """
    found = kind(secret)
    if found == ADMIN_KEY:
        return _("this is an admin key, which manages an organisation; Claude Code cannot work with it")
    if found == SESSION_KEY:
        return _("this is the session of a browser at claude.ai; Claude Code cannot work with it")
    if found == VENDOR_KEY:
        return _("this looks like a key of {vendor}, not of Anthropic", vendor=_vendor(secret))
    if auth_type == "api_key" and found in (ACCESS_TOKEN, REFRESH_TOKEN):
        return _("this is an OAuth token, not an API key")
    if auth_type == "oauth" and found == API_KEY:
        return _("this is an API key, not an OAuth token")
    if auth_type == "oauth" and found == REFRESH_TOKEN:
        return _("this is a refresh token, not an access token")
    if found == UNKNOWN and auth_type == "oauth" and "#" in secret:
        return _("this looks like the code of the sign-in page, not like the token that claude then prints")
    if found == UNKNOWN and auth_type == "api_key":
        return _("this does not begin like an API key of Anthropic (sk-ant-api03-)")
    if found == UNKNOWN:
        return _("this does not begin like a token of Claude Code (sk-ant-oat01-)")
    odd = re.sub(r"[A-Za-z0-9_-]", "", secret)
    if odd:
        return _("this holds {character}, which no such credential has", character=odd[0])
    return _odd_length(secret)


def _decoded(given: bytes | str, field: str) -> str:
    """Return the text of what came: by its mark, UTF-16 where each second byte is none, UTF-8, else cp1252."""
    try:
        if isinstance(given, str):
            if not any("\ud800" <= character <= "\udfff" for character in given):
                return given
            # What the command line could not decode came as lone surrogates, and is bytes again.
            given = given.encode("utf-8", "surrogateescape")
        data = given
        for mark, encoding in (
            (codecs.BOM_UTF8, "utf-8-sig"),
            (codecs.BOM_UTF32_LE, "utf-32"),
            (codecs.BOM_UTF32_BE, "utf-32"),
            (codecs.BOM_UTF16_LE, "utf-16"),
            (codecs.BOM_UTF16_BE, "utf-16"),
        ):
            if data.startswith(mark):
                return data.decode(encoding)
        if data and len(data) % 2 == 0 and not any(data[1::2]) and all(data[::2]):
            return data.decode("utf-16-le")
        if data and len(data) % 2 == 0 and not any(data[::2]) and all(data[1::2]):
            return data.decode("utf-16-be")
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("cp1252")
    except UnicodeError as error:
        raise InvalidInput(
            _("{field} is in no encoding that is known here", field=_called(field)), _again(), field=field
        ) from error


def _unwrapped(text: str) -> str:
    """Take off one layer of what was copied along."""
    if text[-1:] in (";", ","):
        return text.rstrip(";, \t\r\n")
    for opening, closing in _QUOTES:
        inner = text[len(opening) : -len(closing)]
        wrapped = text.startswith(opening) and text.endswith(closing) and len(text) >= len(opening) + len(closing)
        if wrapped and opening not in inner and closing not in inner:
            return inner
    if re.match(rf"\{{\s*{_QUOTE}", text) and text.endswith("}"):
        return text[1:-1]
    found = re.match(_WRAPPING, text)
    return text[found.end() :] if found else text


def _joined(text: str, field: str) -> str:
    """Return a secret that was broken over lines in one piece: its beginning and its length leave no other reading."""
    parts = text.split()
    if len(parts) == 1:
        return text
    whole = "".join(parts)
    if len(whole) == _usual_length(whole) and re.fullmatch(r"[A-Za-z0-9_-]+", whole) and whole.count("sk-ant-") == 1:
        return whole
    if len(text.splitlines()) > 1:
        problem = _("{field} is broken over several lines, or more than one came", field=_called(field))
    else:
        problem = _("{field} holds a blank, perhaps an invisible one", field=_called(field))
    raise InvalidInput(problem, _again(), field=field)


def _refuse_left_over(secret: str, field: str) -> None:
    if re.fullmatch(_REFERENCE, secret):
        raise InvalidInput(_("{field} is a placeholder, not a value", field=_called(field)), _again(), field=field)
    padded = re.fullmatch(r"(?!sk-)[A-Za-z0-9+/]{18,}={1,2}", secret) and len(secret) % 4 == 0
    for character in secret:
        if not character.isascii() or not character.isprintable():
            problem = _("{field} holds a character that no credential has", field=_called(field))
        elif character in "\"'`;\\" or (character == "=" and not padded):
            problem = _("{field} holds {character}, which no credential has", field=_called(field), character=character)
        else:
            continue
        raise InvalidInput(problem, _again(), field=field)


def _odd_length(secret: str) -> str:
    usual = _usual_length(secret)
    if usual and len(secret) < usual:
        return _("this has {count} characters instead of {usual}: it may be cut", count=len(secret), usual=usual)
    if usual and len(secret) > usual:
        return _("this has {count} characters instead of {usual}", count=len(secret), usual=usual)
    return ""


def _usual_length(secret: str) -> int:
    return next((length for prefix, length in _USUAL_LENGTHS.items() if secret.startswith(prefix)), 0)


def _vendor(secret: str) -> str:
    return next((vendor for prefix, vendor in _VENDORS.items() if secret.startswith(prefix)), "")


def _called(field: str) -> str:
    return field or _("what was given")


def _again() -> str:
    return _("copy the credential alone, in one piece")
