"""A study: methods trained on the same tasks and data for the same time, and their comparison."""

from ganvas.studies.design import Changes, Learner, Length, Study, Task, Teacher
from ganvas.studies.parse import read_file, read_mapping
from ganvas.studies.plan import Round, Run, State, duration, round_of, rounds, seconds_left, state_of, teacher_run
from ganvas.studies.record import STUDY, made_by, write_record
from ganvas.studies.targets import make_targets, targets_of

__all__ = [
    "STUDY",
    "Changes",
    "Learner",
    "Length",
    "Round",
    "Run",
    "State",
    "Study",
    "Task",
    "Teacher",
    "duration",
    "made_by",
    "make_targets",
    "read_file",
    "read_mapping",
    "round_of",
    "rounds",
    "seconds_left",
    "state_of",
    "targets_of",
    "teacher_run",
    "write_record",
]
