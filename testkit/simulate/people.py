"""Made-up people and the e-mail fields that ERP users really type; every domain is reserved for examples."""

import random
from typing import NamedTuple


def _words(text: str) -> list[str]:
    return text.split()


FIRST = _words("""
    Aisha Alan Amelia Andrew Anna Arthur Ava Ben Beth Callum Catherine Charlotte Chloé Clive Daniel David Diana
    Dylan Edith Ella Emily Ethan Fatima Fiona Florence Freya George Grace Hannah Harriet Harry Henry Imogen Ines
    Iris Isla Jack James Jane Jürgen Karen Kofi Leila Leo Liam Lucy Mabel Malik Maria Mary Maya Michał Mohammed
    Nadia Neil Noah Nora Olivia Oscar Owen Paul Philippa Poppy Priya Quentin Rachel René Rhys Rosa Ruth Sally
    Samuel Sian Sofia Stephen Søren Tariq Theo Thomas Uma Victoria Violet Wendy William Xavier Yasmin Zachary Zoë
""")
LAST = _words("""
    Adams Akhtar Allen Anderson Armstrong Baker Bailey Begum Bell Bennett Brown Butler Carter Chapman Clarke
    Collins Cook Cooper Cox Davies Dean Edwards Ellis Evans Fletcher Foster García Gibson Graham Gray Green
    Griffiths Hall Hamilton Harris Harrison Hughes Hussain Jackson James Jenkins Johnson Jones Kaur Kelly Khan King
    Knight Lewis Lloyd MacDonald Marshall Mason Mills Mitchell Moore Morgan Morris Müller Murphy Nguyen O'Brien
    O'Connor Owen Palmer Parker Patel Phillips Price Reid Roberts Rogers Russell Scott Shaw Simpson Singh Smith
    Stewart Taylor Thomas Walker Ward Watson White Wilson Wright Young
""")
TOWNS = _words("Bath Belfast Bristol Cardiff Derby Exeter Glasgow Hull Leeds Lincoln Newport Norwich Oxford Perth Stoke York")
STREETS = ("Canal Street", "Church Lane", "Enterprise Way", "High Street", "Mill Road", "Park Avenue", "The Green")
TRADES = _words("Bathrooms Bearings Catering Electrical Flooring Gardens Hardware Interiors Lighting Marine Plumbing Tools")
DOMAINS = (
    "example.com",
    "example.org",
    "example.net",
    "mail.example.com",
    "post.example.org",
    "shop.example.net",
    "web.example.com",
    "inbox.example.net",
)
INTERNATIONAL_DOMAIN = "bücher.example"
RELAY_DOMAIN = "marketplace.amazon.example"
_ONE_RELAYED_IN = 40
"""So many people have one whose address is a marketplace's relay."""
PLACEHOLDER = "orders@shop.example.org"
"""What the shop types where it does not know an account's address."""

_ASCII = str.maketrans("éëíłøü", "eeilou", "'")
_NOTHING = ("n/a", "none", "TBC", "-", "no email", "@", "unknown@", "@example.com", "refused", " ")


class Person(NamedTuple):
    """Somebody with an e-mail address of their own."""

    first: str
    last: str
    email: str


def person(rng: random.Random, number: int) -> Person:
    """A new person; ``number`` makes the address unique."""
    first, last = rng.choice(FIRST), rng.choice(LAST)
    if rng.random() < 0.02:
        # Addresses with letters beyond ASCII are valid and stay as they are.
        local, domain = f"{first}.{last}{number}".lower().replace("'", ""), INTERNATIONAL_DOMAIN
    else:
        local, domain = f"{first}.{last}{number}".lower().translate(_ASCII), rng.choice(DOMAINS)
        if number % _ONE_RELAYED_IN == 0:
            domain = RELAY_DOMAIN
    return Person(first, last, f"{local}@{domain}")


def phone(rng: random.Random) -> str:
    return f"07700 900{rng.randrange(1000):03d}"


def postcode(rng: random.Random) -> str:
    return f"ZZ{rng.randrange(1, 100)} {rng.randrange(1, 10)}ZZ"


def junk(rng: random.Random) -> tuple[str, str]:
    """A field without any address, and what kind of junk it is."""
    if rng.random() < 0.4:
        return rng.choice([phone(rng), f"tel. {phone(rng)}", "01632 960001"]), "email_phone_number"
    return rng.choice(_NOTHING), "email_not_an_address"


def typed(rng: random.Random, email: str, other: str) -> tuple[str, str]:
    """``email`` as a user might type it into the field, with ``other`` where they type two, and the kind of liberty."""
    field, kind = rng.choice(_TYPED)
    slip = email.replace(".", ",", 1)
    return field.format(email=email, upper=email.upper(), other=other, title=other.title(), slip=slip), kind


_TYPED = (
    ("{upper}", "email_upper_case"),
    ("mailto:{email}", "email_mailto"),
    ("{email}; {other}", "email_two_addresses"),
    ("{email},{title} ,{email}", "email_two_addresses"),
    ("{email} / {other}", "email_two_addresses"),
    ("{email} (accounts dept)", "email_trailing_text"),
    ("<{email}>.", "email_wrapped"),
    ("Accounts, Head Office <{email}>", "email_display_name"),
    ("E-mail: {email}", "email_label"),
    ("  {email}\t", "email_padded"),
    ("\ufeff{email}\u200b", "email_invisible_characters"),
    ('"{email}" DO NOT USE', "email_unreadable"),
    ("07700 900123 / {email}", "email_unreadable"),
    ("{slip}", "email_unreadable"),
)
"""What users type; of the last three nobody can say whose address it is."""
