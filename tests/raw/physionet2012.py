"""Made-up records in the form of the PhysioNet 2012 challenge: 14 stays, one of which has no record."""

import io
import tarfile
from pathlib import Path
from random import Random

N_STAYS = 14
FIRST = 132600
MEASURED = (("HR", 60, 120), ("Creatinine", 1, 4), ("Temp", 35, 40), ("Urine", 0, 300), ("GCS", 3, 15))


def write(folder: Path, *, archive: bool = True) -> Path:
    """Write the records, as the archive or as a folder, and the outcomes."""
    folder.mkdir(parents=True, exist_ok=True)
    made = records()
    if archive:
        with tarfile.open(folder / "set-a.tar.gz", "w:gz") as file:
            for stay, text in made.items():
                member = tarfile.TarInfo(f"set-a/{stay}.txt")
                member.size = len(text.encode())
                file.addfile(member, io.BytesIO(text.encode()))
    else:
        (folder / "set-a").mkdir(exist_ok=True)
        for stay, text in made.items():
            (folder / "set-a" / f"{stay}.txt").write_text(text, encoding="utf-8")
    (folder / "Outcomes-a.txt").write_text(outcomes(), encoding="utf-8")
    return folder


def records() -> dict[int, str]:
    """Return the text of every record."""
    random = Random(19)
    return {stay: _record(random, stay) for stay in range(FIRST, FIRST + N_STAYS - 1)}


def outcomes() -> str:
    """Return the outcomes: one stay dies in hospital, one later, one has no length."""
    lines = ["RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death"]
    for number in range(N_STAYS):
        length, survival, died = 3 + number, -1, 0
        if number == 2:
            survival, died = 4, 1
        if number == 3:
            survival = 200
        if number == 4:
            length = -1
        lines.append(f"{FIRST + number},{number - 1},{number % 5},{length},{survival},{died}")
    return "\n".join(lines) + "\n"


def _record(random: Random, stay: int) -> str:
    lines = ["Time,Parameter,Value", f"00:00,RecordID,{stay}", f"00:00,Age,{random.randint(20, 89)}"]
    lines += [
        f"00:00,Gender,{stay % 2}",
        "00:00,Height,-1",
        f"00:00,ICUType,{1 + stay % 4}",
        "00:00,Weight,80.5",
    ]
    for hour in range(0, 48, 6):
        minute = random.randint(0, 59)
        for name, low, high in MEASURED:
            lines.append(f"{hour:02}:{minute:02},{name},{low + (high - low) * random.random():.4g}")
    return "\n".join(lines) + "\n"
