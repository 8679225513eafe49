"""Countries and continents: the codes that residency is written in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from xds_server.policy.suggestion import did_you_mean

Continent = Literal["af", "an", "as", "eu", "na", "oc", "sa"]

CONTINENTS: dict[str, str] = {
    "af": "Africa",
    "an": "Antarctica",
    "as": "Asia",
    "eu": "Europe",
    "na": "North America",
    "oc": "Oceania",
    "sa": "South America",
}

# ISO 3166-1 alpha-2, by continent. A country whose land lies on two continents stands in both.
_COUNTRIES_OF: dict[str, str] = {
    "af": "ao bf bi bj bw cd cf cg ci cm cv dj dz eg eh er es et ga gh gm gn gq gw ke km lr ls ly ma mg ml mr "
    "mu mw mz na ne ng re rw sc sd sh sl sn so ss st sz td tf tg tn tz ug yt za zm zw",
    "an": "aq bv gs hm tf",
    "as": "ae af am az bd bh bn bt cc cn cx cy eg ge hk id il in io iq ir jo jp kg kh kp kr kw kz la lb lk mm "
    "mn mo mv my np om ph pk ps qa ru sa sg sy th tj tl tm tr tw uz vn ye",
    "eu": "ad al am at ax az ba be bg by ch cy cz de dk ee es fi fo fr gb ge gg gi gr hr hu ie im is it je kz "
    "li lt lu lv mc md me mk mt nl no pl pt ro rs ru se si sj sk sm tr ua va",
    "na": "ag ai aw bb bl bm bq bs bz ca cr cu cw dm do gd gl gp gt hn ht jm kn ky lc mf mq ms mx ni pa pm pr "
    "sv sx tc tt us vc vg vi",
    "oc": "as au ck fj fm gu id ki mh mp nc nf nr nu nz pf pg pn pw sb tk tl to tv um us vu wf ws",
    "sa": "ar bo br cl co ec fk gf gs gy pe py sr uy ve",
}

CONTINENTS_OF: dict[str, frozenset[str]] = {
    country: frozenset(continent for continent, those in _COUNTRIES_OF.items() if country in those.split())
    for country in sorted({country for those in _COUNTRIES_OF.values() for country in those.split()})
}
"""Country code to the continents that its land lies on."""

COUNTRIES = frozenset(CONTINENTS_OF)


def country_hint(text: str) -> str | None:
    """What the author of an unknown country code may have meant."""
    usual = {"uk": "gb", "eng": "gb", "usa": "us", "ger": "de", "fra": "fr", "el": "gr"}
    folded = text.casefold()
    if folded in usual or folded in COUNTRIES:
        return did_you_mean(usual.get(folded, folded), COUNTRIES)
    return "two lower-case letters as in ISO 3166, such as `fr`"


def _country(value: Any) -> str:
    if isinstance(value, str) and value in COUNTRIES:
        return value
    shown = value if isinstance(value, str) else repr(value)
    raise PydanticCustomError(
        "bad-country",
        "{message}",
        {"message": f"must be a country code, not `{shown}`", "hint": country_hint(shown) or ""},
    )


Country = Annotated[
    str,
    BeforeValidator(_country),
    WithJsonSchema({"type": "string", "enum": sorted(COUNTRIES), "x-type": "country code"}),
]
"""A country by its ISO 3166-1 alpha-2 code, in lower case."""
