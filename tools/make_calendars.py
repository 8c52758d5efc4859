"""Writes the shipped calendars from libraries that others keep up to date.

From the project's root, in an environment of its own (``holidays`` and the project's pins do not go
together): ``pip install lunar-python chinesecalendar holidays``, then
``python tools/make_calendars.py cn --version 2``. It writes ``journeys/library/calendars/<name>.yaml``; a
published version never changes, so a change needs a new one.
"""

import argparse
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "journeys" / "library" / "calendars"
LUNAR_YEARS = range(1901, 2081)
LAW_YEARS = range(2015, 2041)
DECREED_SINCE = 2007
_CN = {
    "New Year's Day": "元旦",
    "Spring Festival": "春节",
    "Tomb-sweeping Day": "清明节",
    "Labour Day": "劳动节",
    "Dragon Boat Festival": "端午节",
    "National Day": "国庆节",
    "Mid-autumn Festival": "中秋节",
    "Anti-Fascist 70th Day": "抗战胜利70周年纪念日",
}
_CZ = {
    "Independent Czech State Restoration Day; New Year's Day": "元旦暨捷克独立国家恢复日",
    "Good Friday": "耶稣受难日",
    "Easter Monday": "复活节星期一",
    "Labour Day": "劳动节",
    "Victory Day": "胜利日",
    "Saints Cyril and Methodius Day": "圣西里尔与圣默多狄日",
    "Jan Hus Day": "扬·胡斯日",
    "Statehood Day": "捷克国家日",
    "Independent Czechoslovak State Day": "捷克斯洛伐克独立日",
    "Struggle for Freedom and Democracy Day": "争取自由民主日",
    "Struggle for Freedom and Democracy Day and International Students' Day": "争取自由民主日暨国际学生日",
    "Christmas Eve": "平安夜",
    "Christmas Day": "圣诞节",
    "Second Day of Christmas": "圣诞节第二日",
}
_GB = {
    "New Year's Day": "元旦",
    "Good Friday": "耶稣受难日",
    "Easter Monday": "复活节星期一",
    "May Day": "五月初银行假日",
    "Spring Bank Holiday": "春季银行假日",
    "Late Summer Bank Holiday": "夏季银行假日",
    "Christmas Day": "圣诞节",
    "Boxing Day": "节礼日",
    "Platinum Jubilee of Elizabeth II": "女王登基70周年",
    "State Funeral of Queen Elizabeth II": "女王国葬日",
    "Coronation of Charles III": "国王加冕日",
}


def lunar(version: int) -> str:
    """The table of lunar months, worked out by lunar-python from the sun and the moon."""
    from lunar_python import LunarYear, Solar

    words: list[str] = []
    begins = Solar.fromJulianDay(LunarYear.fromYear(LUNAR_YEARS[0]).getMonth(1).getFirstJulianDay())
    for year in LUNAR_YEARS:
        months = LunarYear.fromYear(year).getMonthsInYear()
        leap = next((-month.getMonth() for month in months if month.isLeap()), 0)
        bits = sum((month.getDayCount() == 30) << index for index, month in enumerate(months))
        words.append(f"{leap << 13 | bits:05x}")
    rows = "\n".join(f"    {' '.join(words[at : at + 10])}" for at in range(0, len(words), 10))
    return f"""\
# Chinese lunar months, lunar years {LUNAR_YEARS[0]} to {LUNAR_YEARS[-1]}, ten years a line; days of UTC+8.
# Each word is one year: its lowest bit the first month, 1 for 30 days and 0 for 29, the leap month in its
# place; above the lowest thirteen bits the number of the month that the leap month follows, 0 for none.
calendar: lunar
version: {version}
title:
  en: Chinese lunar calendar
  zh-CN: 农历
lunar:
  begins_on: {begins.toYmd()}
  table: >-
{rows}
"""


def cn(version: int) -> str:
    """The days off and the make-up days that the State Council decreed."""
    from chinese_calendar import constants

    off = {day: name for day, name in constants.holidays.items() if day.year >= DECREED_SINCE}
    years = range(DECREED_SINCE, max(off).year + 1)
    made_up = sorted(day for day in constants.workdays if day.year in years)
    head = "# Decreed by the State Council: days off, and the days of weekends that are worked for them."
    return _working(
        "cn", version, {"en": "Mainland China", "zh-CN": "中国大陆"}, years, off, _CN, head, made_up
    )


def cz(version: int) -> str:
    """The public holidays of Czechia, by law 245/2000."""
    from holidays import country_holidays

    found = country_holidays("CZ", years=LAW_YEARS, language="en_US")
    off = {day: name.replace("Labor", "Labour") for day, name in found.items()}
    head = "# Public holidays by law 245/2000, as it stands."
    return _working("cz", version, {"en": "Czechia", "zh-CN": "捷克"}, LAW_YEARS, off, _CZ, head)


def gb_eng(version: int) -> str:
    """The bank holidays of England and Wales, those moved from a weekend included."""
    from holidays import country_holidays

    found = country_holidays("GB", subdiv="ENG", years=LAW_YEARS)
    off = {day: name.removesuffix(" (observed)") for day, name in found.items()}
    head = "# Bank holidays, and the days that stand for those on a weekend; royal occasions as proclaimed."
    title = {"en": "England and Wales", "zh-CN": "英格兰和威尔士"}
    return _working("gb-eng", version, title, LAW_YEARS, off, _GB, head)


def _working(
    name: str,
    version: int,
    title: Mapping[str, str],
    years: range,
    off: Mapping[date, str],
    chinese: Mapping[str, str],
    head: str,
    made_up: Iterable[date] = (),
) -> str:
    lines = [
        head,
        f"calendar: {name}",
        f"version: {version}",
        "title:",
        *(f"  {language}: {text}" for language, text in title.items()),
        "working:",
        f"  first_year: {years[0]}",
        f"  last_year: {years[-1]}",
        "  weekend: [sat, sun]",
        "  holidays:",
    ]
    for holiday in dict.fromkeys(off[day] for day in sorted(off)):
        spans = _spans(day for day in sorted(off) if off[day] == holiday)
        lines += [f'    - name: {{en: "{holiday}", zh-CN: {chinese[holiday]}}}', "      days:"]
        lines += [f"        - {span}" for span in spans]
    if days := [f"    - {day}" for day in made_up]:
        lines += ["  made_up:", *days]
    return "\n".join(lines) + "\n"


def _spans(days: Iterable[date]) -> list[str]:
    """Days that follow each other as one span, ``first/last``."""
    spans: list[tuple[date, date]] = []
    for day in days:
        if spans and day - spans[-1][1] == timedelta(days=1):
            spans[-1] = (spans[-1][0], day)
        else:
            spans.append((day, day))
    return [f'"{first}"' if first == last else f'"{first}/{last}"' for first, last in spans]


MAKERS = {"lunar": lunar, "cn": cn, "cz": cz, "gb-eng": gb_eng}


def main() -> None:
    """Write the named calendars, or all."""
    parser = argparse.ArgumentParser(description="Write shipped calendars from the libraries they follow.")
    parser.add_argument("names", nargs="*", choices=[*MAKERS, []], help="which; all unless given")
    parser.add_argument("--version", type=int, default=1, help="the version that the documents get")
    asked = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    for name in asked.names or MAKERS:
        (FOLDER / f"{name}.yaml").write_text(MAKERS[name](asked.version), encoding="utf-8")


if __name__ == "__main__":
    main()
