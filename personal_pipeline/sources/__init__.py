"""Every source of the house, listed by hand: to add one, add a line here."""

from personal_pipeline.ingest.contract import Source
from personal_pipeline.sources.apple_health import APPLE_HEALTH
from personal_pipeline.sources.bank import BANK
from personal_pipeline.sources.fit import FIT
from personal_pipeline.sources.google_sheets import GOOGLE_SHEETS
from personal_pipeline.sources.kit import KIT
from personal_pipeline.sources.medium import MEDIUM
from personal_pipeline.sources.stays import STAYS
from personal_pipeline.sources.strava import STRAVA
from personal_pipeline.sources.stripe import STRIPE

SOURCES: tuple[Source, ...] = (
    STRIPE,
    KIT,
    MEDIUM,
    GOOGLE_SHEETS,
    BANK,
    APPLE_HEALTH,
    STRAVA,
    FIT,
    STAYS,
)
