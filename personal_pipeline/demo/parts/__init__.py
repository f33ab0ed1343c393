"""The invented parts of the sources, listed explicitly. A source need not have one."""

from personal_pipeline.demo.invented import Invented
from personal_pipeline.demo.parts.apple_health import APPLE_HEALTH
from personal_pipeline.demo.parts.bank import BANK
from personal_pipeline.demo.parts.google_sheets import GOOGLE_SHEETS
from personal_pipeline.demo.parts.kit import KIT
from personal_pipeline.demo.parts.medium import MEDIUM
from personal_pipeline.demo.parts.stripe import STRIPE

INVENTED: tuple[Invented, ...] = (STRIPE, KIT, MEDIUM, GOOGLE_SHEETS, BANK, APPLE_HEALTH)
