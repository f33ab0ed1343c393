"""The sections of the report, in its order, written out by hand: adding one is adding a line here.

A section is a folder: the queries that it shows are the SQL files beside its code.
"""

from personal_pipeline.outputs.page import Section
from personal_pipeline.outputs.sections.body import BODY
from personal_pipeline.outputs.sections.money import MONEY
from personal_pipeline.outputs.sections.revenue import REVENUE
from personal_pipeline.outputs.sections.stories import STORIES
from personal_pipeline.outputs.sections.subscribers import SUBSCRIBERS

SECTIONS: tuple[Section, ...] = (STORIES, SUBSCRIBERS, REVENUE, MONEY, BODY)
