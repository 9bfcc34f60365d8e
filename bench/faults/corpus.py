"""All cases."""

from __future__ import annotations

from . import (
    commands,
    controls,
    controls_images,
    controls_tables,
    faults_data,
    faults_images,
    faults_init,
    faults_network,
    faults_rate,
    faults_tables,
    faults_training,
)
from .cases import Control, Fault

FAULTS: list[Fault] = [
    fault
    for theme in (
        faults_data,
        faults_init,
        faults_rate,
        faults_network,
        faults_training,
        faults_tables,
        faults_images,
        commands,
    )
    for fault in theme.CORPUS.faults
]
CONTROLS: list[Control] = [
    *controls.CORPUS.controls,
    *controls_tables.CORPUS.controls,
    *controls_images.CORPUS.controls,
    *commands.CORPUS.controls,
]
CASES: dict[str, Fault | Control] = {fault.name: fault for fault in FAULTS} | {case.name: case for case in CONTROLS}
