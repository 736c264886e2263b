"""The titles of the ICD-10-CM codes that the simulator writes."""

import warnings

from attending.simulate.conditions import CONDITIONS, codes_of


def titles() -> dict[str, str]:
    """Return the title of each diagnosis code, by code without its dot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it reads its tables by a deprecated function
        import simple_icd_10_cm  # takes a second to load

    codes = [code for condition in CONDITIONS for code, _ in codes_of(condition.codes)]
    return {code: simple_icd_10_cm.get_description(dotted(code)) for code in codes}


def dotted(code: str) -> str:
    """Return an ICD-10-CM code with its dot."""
    return code if len(code) <= 3 else f"{code[:3]}.{code[3:]}"
