"""Security playbooks (OASIS CACAO): what is wrong with one, what it is for, its markings, signatures and steps.

Nothing here runs anything: a playbook's commands are text, and stay text.
"""

from aleat.knowledge.playbooks.check import Fault, check_playbook
from aleat.knowledge.playbooks.steps import Playbook, PlaybookCommand, PlaybookStep, read_steps, render_playbook

__all__ = [
    "Fault",
    "Playbook",
    "PlaybookCommand",
    "PlaybookStep",
    "check_playbook",
    "read_steps",
    "render_playbook",
]
