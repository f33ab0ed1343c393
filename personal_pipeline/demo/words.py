"""The words of the invented life: names of nobody, and titles of stories that nobody wrote."""

from __future__ import annotations

FIRST_NAMES = (
    "Ada", "Alma", "Anouk", "Arlo", "Bela", "Bram", "Callum", "Chiara", "Cleo", "Dario",
    "Dilan", "Edda", "Elias", "Emre", "Esme", "Farah", "Felix", "Freya", "Goran", "Greta",
    "Hana", "Hugo", "Ida", "Imani", "Ines", "Ivo", "Jana", "Jonas", "Juno", "Kaito",
    "Kira", "Lale", "Leif", "Lena", "Lior", "Luca", "Mabel", "Malik", "Mira", "Nadia",
    "Nils", "Nora", "Odin", "Olive", "Omar", "Pia", "Quinn", "Rafa", "Rhea", "Ruth",
    "Sami", "Selma", "Signe", "Silas", "Tara", "Theo", "Tilda", "Uma", "Vera", "Viggo",
    "Wanda", "Xenia", "Yara", "Yusuf", "Zoe", "Zora",
)  # fmt: skip

LAST_NAMES = (
    "Abernathy", "Ashgrove", "Birkett", "Bramwell", "Calloway", "Corwin", "Dunmore", "Eastley",
    "Fairholm", "Fenwick", "Garside", "Glasson", "Hartnell", "Hollins", "Inglewood", "Jessop",
    "Kestrel", "Kirkbride", "Lockhart", "Lowell", "Marchbank", "Merrow", "Netherby", "Oakden",
    "Pellworth", "Penhale", "Quarles", "Ravenhill", "Redfern", "Selwood", "Stannard", "Tamsin",
    "Thornby", "Underhill", "Vance", "Wetherell", "Winslow", "Wraxall", "Yarrow", "Zeller",
)  # fmt: skip

SUBJECTS = (
    "Home Servers", "Plain Text", "Weekly Reviews", "Paper Notebooks", "Spreadsheets",
    "Slow Mornings", "Old Laptops", "Personal Finance", "Long Walks", "Backups", "Small Data",
    "Command Lines", "Reading Lists", "Sleep Tracking", "Family Photos", "Garden Sensors",
    "Side Projects", "Open Formats", "Inbox Zero", "Quiet Houses", "Cheap Bicycles",
    "Habit Charts", "Self-Hosting", "Deep Work", "Recipe Cards", "Night Trains", "RSS",
    "Calendar Blocks", "Kitchen Timers", "Library Cards",
)  # fmt: skip

TITLES = (
    "What {subject} Taught Me About Attention",
    "I Kept a Log of {subject} for a Year",
    "The Case for {subject}",
    "Why I Gave Up on {subject}",
    "{subject}, Explained Slowly",
    "Seven Mistakes I Made With {subject}",
    "A Gentle Start With {subject}",
    "{subject} and the Art of Enough",
    "Nobody Tells You This About {subject}",
    "How {subject} Paid for My Coffee",
    "My Honest Numbers: {subject}",
    "A Love Letter to {subject}",
    "{subject} on Ten Minutes a Day",
    "What Happens When You Stop Ignoring {subject}",
    "Building a House for {subject}",
    "{subject} at Forty",
)

SUBTITLES = (
    "Notes from a year of trying.",
    "It was not what I had planned, and it was better.",
    "Small changes, counted honestly.",
    "With numbers, because feelings forget.",
    "A short story about a long habit.",
    "What stayed after the novelty was gone.",
)

SENTENCES = (
    "I began on a rainy Tuesday with a cup of tea and no plan at all.",
    "The first week went well, and the second one told me the truth.",
    "I wrote every number down, also the ones that I did not like.",
    "Most advice on this is written by people who sell something.",
    "My neighbour laughed, and then asked me how it works.",
    "There is a quiet pleasure in a thing that does what it says.",
    "What I measured got better; what I forgot to measure got worse.",
    "It took eleven minutes a day, on average, and a little patience.",
    "None of this is new, and that is why it lasts.",
    "If you try only one part, try the smallest one.",
    "I still get it wrong about once a month.",
    "The best tool turned out to be the one that was already in the drawer.",
    "A friend sent me her own notes, and they said the opposite.",
    "Then the power went out, and I learned which half I really needed.",
    "In the end I kept two habits and let go of nine.",
)

RESPONSES = (
    "Thank you for this. I keep my notes the same way",
    "I see it differently, but the numbers are fair",
    "This made my morning, and I have sent it to my sister",
    "A good question. I wrote about it in March",
    "You are right about the cables, sadly",
    "Wonderful photographs. Which town is this?",
)

TAGS = (
    "Productivity", "Data", "Self Improvement", "Technology", "Writing", "Minimalism", "Habits",
    "Money", "Life Lessons", "Open Source",
)  # fmt: skip

SUBJECT_LINES = (
    "The week in small numbers",
    "One thing to try before Friday",
    "What I read, and what I kept",
    "A story that went further than I thought",
    "Less, but every day",
    "Questions from your letters",
    "The drawer of useful things",
    "Counting what counts",
)

NOTES = (
    "nice and short",
    "pitched twice",
    "title changed, was too long",
    "good photo, use again",
    'friends said: "too long"',
    "mentioned in the newsletter, again",
)
