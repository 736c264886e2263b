"""What raises what in the simulated world, as tables: chronic risks, ordered pairs, switches and rings.

`world.py` says how the effects act. They are inventions, made to be learnable: not medicine.
"""

from dataclasses import dataclass

WINDOW = 730.0

# Parent, child, log hazard: what a chronic condition does to the onset of another, or to an acute one.
RISKS = """
obesity diabetes 0.9; obesity hypertension 0.6; obesity sleep_apnea 1.6; obesity hyperlipidemia 0.5
tobacco_use copd 1.6; tobacco_use ischemic_heart_disease 0.6; tobacco_use peripheral_artery_disease 1.0
alcohol_use cirrhosis 2.4; alcohol_use neuropathy 0.9; alcohol_use depression 0.6; cirrhosis esophageal_varices 3.4
hypertension chronic_kidney_disease 0.9; hypertension ischemic_heart_disease 0.6; hypertension heart_failure 0.7
hypertension atrial_fibrillation 0.5; hyperlipidemia ischemic_heart_disease 0.6
diabetes chronic_kidney_disease 1.1; diabetes neuropathy 1.8; diabetes retinopathy 2.6
diabetes ischemic_heart_disease 0.7; diabetes peripheral_artery_disease 1.0; diabetes hyperlipidemia 0.5
ischemic_heart_disease heart_failure 1.4; valve_disease heart_failure 1.2; valve_disease atrial_fibrillation 1.1
atrial_fibrillation heart_failure 0.9; heart_failure atrial_fibrillation 1.0; heart_failure chronic_kidney_disease 0.8
chronic_kidney_disease chronic_anemia 1.6; sleep_apnea atrial_fibrillation 0.6; depression anxiety 1.5
anxiety depression 1.3; asthma copd 0.6
copd pneumonia 0.5; copd respiratory_failure 1.0; dementia aspiration_pneumonitis 1.3; dementia delirium 1.2
dementia pressure_ulcer 0.9; dementia hip_fracture 0.8; osteoporosis hip_fracture 1.4; heart_failure edema 1.2
heart_failure pleural_effusion 0.9; heart_failure hypotension 0.3; chronic_kidney_disease acute_kidney_injury 0.6
chronic_kidney_disease fluid_disorder 0.3; diabetes cellulitis 0.4; diabetes urinary_tract_infection 0.3
atrial_fibrillation stroke 1.1; ischemic_heart_disease myocardial_infarction 1.0; ischemic_heart_disease chest_pain 0.4
ischemic_heart_disease cardiac_arrest 0.7; alcohol_use pancreatitis 1.2; alcohol_use seizure 0.9
alcohol_use malnutrition 0.8; cirrhosis edema 1.2; cirrhosis encephalopathy 1.3; cirrhosis thrombocytopenia 1.4
cirrhosis malnutrition 0.8; esophageal_varices gastrointestinal_bleeding 1.6; chronic_kidney_disease gout 0.8
obesity gallbladder_disease 0.7; obesity gout 0.6; anxiety chest_pain 0.2; depression malaise 0.2
chronic_anemia syncope 0.5; valve_disease syncope 0.8
"""


@dataclass(frozen=True)
class Recent:
    """`cause` within `window` days adds `effect` to the log rate of `outcome`."""

    cause: str
    outcome: str
    window: float
    effect: float


@dataclass(frozen=True)
class Pair:
    """`first` before `then`, both within `window` days, adds `effect` to the log rate of `outcome`."""

    first: str
    then: str
    outcome: str
    window: float
    effect: float


@dataclass(frozen=True)
class Switch:
    """Two conditions that undo each other: the later of them decides.

    `left` alone raises the conditions `on_left`, raises them more after `right`, and lowers them before
    `right`; and the reverse for `on_right`.
    """

    left: str
    right: str
    on_left: str
    on_right: str
    window: float = WINDOW
    alone: float = 0.8
    raises: float = 2.2
    lowers: float = -2.6

    @property
    def recent(self) -> list[Recent]:
        """What each condition does by itself."""
        sides = (self.left, self.on_left), (self.right, self.on_right)
        return [Recent(a, c, self.window, self.alone) for a, outcomes in sides for c in outcomes.split()]

    @property
    def pairs(self) -> list[Pair]:
        """What their order does."""
        sides = (self.left, self.right, self.on_left), (self.right, self.left, self.on_right)
        found = []
        for last, other, outcomes in sides:
            for outcome in outcomes.split():
                found.append(Pair(other, last, outcome, self.window, self.raises))
                found.append(Pair(last, other, outcome, self.window, self.lowers))
        return found


@dataclass(frozen=True)
class Ring:
    """Three conditions in a ring a → b → c → a.

    Each step taken in that order raises the conditions `along` and lowers those `against`; each step in the
    other order does the reverse. How often a, b and c were recorded says next to nothing.
    """

    members: tuple[str, str, str]
    along: str
    against: str
    window: float = WINDOW
    raises: float = 3.0
    lowers: float = -1.6

    @property
    def pairs(self) -> list[Pair]:
        """Every ordered pair and what it does."""
        a, b, c = self.members
        sides = (self.along, self.raises, self.lowers), (self.against, self.lowers, self.raises)
        return [
            pair
            for outcomes, forward, back in sides
            for outcome in outcomes.split()
            for first, then in ((a, b), (b, c), (c, a))
            for pair in (
                Pair(first, then, outcome, self.window, forward),
                Pair(then, first, outcome, self.window, back),
            )
        ]


INFECTIONS = ("pneumonia", "urinary_tract_infection", "cellulitis")
CIRCULATION = ("acute_kidney_injury", "fluid_disorder", "hypotension")

SWITCHES = (
    Switch("pneumonia", "urinary_tract_infection", "sepsis", "clostridium_difficile"),
    Switch("urinary_tract_infection", "cellulitis", "respiratory_failure", "pleural_effusion"),
    Switch("cellulitis", "pneumonia", "aspiration_pneumonitis", "herpes_zoster"),
    Switch("acute_kidney_injury", "fluid_disorder", "stroke", "encephalopathy"),
    Switch("fluid_disorder", "hypotension", "gastrointestinal_bleeding", "pancreatitis"),
    Switch("hypotension", "acute_kidney_injury", "thrombocytopenia", "gallbladder_disease"),
)
RINGS = (
    Ring(
        INFECTIONS,
        "pulmonary_embolism deep_vein_thrombosis myocardial_infarction",
        "cardiac_arrest seizure gout",
    ),
    Ring(
        CIRCULATION,
        "bowel_obstruction delirium hip_fracture",
        "pressure_ulcer neutropenia syncope",
    ),
    # More gently, on symptoms and from one ring to the other.
    Ring(INFECTIONS, "chest_pain", "abdominal_pain", raises=1.9, lowers=-1.2),
    Ring(CIRCULATION, "malaise", "abdominal_pain", raises=1.9, lowers=-1.2),
    Ring(INFECTIONS, "acute_kidney_injury fluid_disorder", "hypotension", raises=0.7, lowers=-0.7),
    Ring(CIRCULATION, "pneumonia cellulitis", "urinary_tract_infection", raises=0.7, lowers=-0.7),
)

# Pairs that act in one order only.
PAIRS = (
    Pair("hypotension", "pneumonia", "edema", WINDOW, 2.7),
    Pair("acute_kidney_injury", "cellulitis", "edema", WINDOW, 2.7),
    Pair("cellulitis", "acute_kidney_injury", "hematuria", WINDOW, 2.7),
    Pair("fluid_disorder", "urinary_tract_infection", "hematuria", WINDOW, 2.7),
    Pair("pneumonia", "hypotension", "malnutrition", WINDOW, 2.7),
    Pair("urinary_tract_infection", "fluid_disorder", "malnutrition", WINDOW, 2.7),
)


def pairs() -> list[Pair]:
    """Return every ordered pair, those of the rings and switches spelled out."""
    return [*PAIRS, *(pair for each in (*SWITCHES, *RINGS) for pair in each.pairs)]


def recents() -> list[Recent]:
    """Return every effect of a recent condition by itself."""
    return [recent for switch in SWITCHES for recent in switch.recent]
