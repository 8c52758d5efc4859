"""Answers that people read: a page in their language, under a policy that lets in nothing from elsewhere."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from secrets import token_urlsafe
from urllib.parse import parse_qsl

from fastapi import Request, Response
from jinja2 import Environment
from markupsafe import Markup

from tidings.api.guard import Problem
from tidings.api.layout import STYLE, environment
from tidings.api.parts import Parts
from tidings.wording import LANGUAGES, Wording, catalogue

FORM_BYTES = 65_536
_FIELDS_AT_MOST = 500
_PAGES = ("u", "p", "l", "view")


def page(
    parts: Parts,
    name: str,
    language: str,
    values: Mapping[str, object],
    *,
    status: int = 200,
    forms_to: tuple[str, ...] = (),
    scripted: bool = False,
) -> Response:
    """The page of this name. ``forms_to`` are origins that its form may lead on to."""
    nonce = token_urlsafe(16)
    html = (
        _environment()
        .get_template(name)
        .render(
            values,
            language=language,
            brand=parts.settings.brand or Wording(language).tell("web.brand"),
            nonce=nonce,
            style=Markup(STYLE),  # noqa: S704 - our own, without any value
            tell=_tell(language),
        )
    )
    policy = [
        "default-src 'none'",
        f"style-src 'nonce-{nonce}'",
        *((f"script-src 'nonce-{nonce}'", "connect-src 'self'") if scripted else ()),
        " ".join(("form-action 'self'", *forms_to)),
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    headers = {"Content-Security-Policy": "; ".join(policy), "Content-Language": language}
    return Response(html, status, headers, media_type="text/html")


def problem_page(parts: Parts, request: Request, problem: Problem) -> Response:
    """What a person is told whose request was refused."""
    language = language_of(request)
    said = Wording(language).tell(problem.code, problem.values)
    return page(parts, "problem", language, {"said": said}, status=problem.status)


def is_page(request: Request) -> bool:
    """Whether a person looks at what is answered here."""
    return request.url.path.split("/")[1] in _PAGES


def language_of(request: Request, told: str | None = None) -> str:
    """The page's language: asked for in the address, else the customer's own, else the browser's first."""
    wanted = [request.query_params.get("lang", ""), told or "", *_accepted(request)]
    return next((found for tag in wanted if (found := _ours(tag))), LANGUAGES[0])


def form_of(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form that a browser sent. Raises Problem where there are too many."""
    try:
        return parse_qsl(
            body.decode(errors="replace"), keep_blank_values=True, max_num_fields=_FIELDS_AT_MOST
        )
    except ValueError as error:
        raise Problem(400, "web.bad_request") from error


@cache
def text_version(concern: str, language: str) -> str:
    """Names the words that a customer was shown: they can be found again by their digest."""
    texts = catalogue(language)
    said = "\x1f".join(f"{c}\x1e{texts[c]}" for c in sorted(texts) if c.startswith(("web.", "purpose.")))
    return f"{concern}/{language}/{sha256(said.encode()).hexdigest()[:16]}"


def _ours(tag: str) -> str:
    """The language of ours that a tag such as zh-Hans-CN asks for; "" for none."""
    base = tag.strip().lower().replace("_", "-").split("-")[0]
    return next((language for language in LANGUAGES if language.lower().split("-")[0] == base), "")


def _accepted(request: Request) -> list[str]:
    """Tags of Accept-Language by their weight. Source: RFC 9110 section 12.5.4."""
    weighted: list[tuple[float, int, str]] = []
    for place, item in enumerate(request.headers.get("accept-language", "").split(",")[:20]):
        tag, _, weight = item.partition(";")
        name, _, value = weight.strip().partition("=")
        try:
            q = float(value) if name == "q" else 1.0
        except ValueError:
            continue
        if q > 0:
            weighted.append((-q, place, tag))
    return [tag for _, _, tag in sorted(weighted)]


def _tell(language: str) -> object:
    wording = Wording(language)

    def tell(code: str, **values: object) -> str:
        return wording.tell(code, values)

    return tell


@cache
def _environment() -> Environment:
    return environment()
