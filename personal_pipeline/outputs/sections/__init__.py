"""The sections of the report, in order, listed explicitly: adding one means adding a line here.

A section is a folder: its queries are the SQL files next to its code.
"""

from personal_pipeline.outputs.page import Section
from personal_pipeline.outputs.sections.body import BODY
from personal_pipeline.outputs.sections.money import MONEY
from personal_pipeline.outputs.sections.revenue import REVENUE
from personal_pipeline.outputs.sections.stories import STORIES
from personal_pipeline.outputs.sections.subscribers import SUBSCRIBERS

SECTIONS: tuple[Section, ...] = (STORIES, SUBSCRIBERS, REVENUE, MONEY, BODY)
