"""*Data quality*, in marketing's words: what in Orderwise keeps Dotdigital from being right?"""

from typing import Final

from testkit.dashboards.board import Board, Panel, Query, Row, rise

QUALITY: Final = Board(
    uid="owdd-quality",
    title="Data quality",
    description="What in Orderwise keeps Dotdigital from being right? For marketing operations; no technical knowledge needed.",
    rows=(
        Row(
            "To be corrected in Orderwise",
            (
                Panel(
                    title="E-mail addresses that cannot be read",
                    description=(
                        "People, accounts and orders whose e-mail field holds no address. They get no mail, or mail to the "
                        "last good address. Correct or empty the field."
                    ),
                    unit="short",
                    queries=(
                        Query('sum(owdd_held{kind="unreadable_address"}) or vector(0)', "never had a good one"),
                        Query('sum(owdd_frozen{kind="unreadable_address"}) or vector(0)', "keep the last good one"),
                    ),
                    alert="OwddUnreadableAddresses",
                ),
                Panel(
                    title="Rows that could not be read",
                    description=(
                        "By code; each is a version of a row that Dotdigital does not have. The page on dead letters says "
                        "what to correct for each code."
                    ),
                    unit="short",
                    queries=(
                        Query(
                            'max by (cause, class) (owdd_set_aside{kind="dead_letter"}) or vector(0)', "{{cause}} ({{class}})"
                        ),
                        Query(rise("owdd_dead_letters_total", "stage"), "new in the last hour: {{stage}}"),
                    ),
                    alert="OwddIngestDeadLetters",
                ),
                Panel(
                    title="Contacts that Dotdigital refuses",
                    description=(
                        "By Dotdigital's code; most are addresses. They stay as they are in Dotdigital until they are "
                        "corrected in Orderwise."
                    ),
                    unit="short",
                    queries=(
                        Query('max by (cause, class) (owdd_set_aside{kind="parked"}) or vector(0)', "{{cause}} ({{class}})"),
                    ),
                    alert="OwddParked",
                ),
                Panel(
                    title="Orders that wait for something",
                    description=(
                        "Orders, accounts and items that are not in Dotdigital, because a row or a word is missing. Correct "
                        "it, or ask for the mapping to learn the word."
                    ),
                    unit="short",
                    queries=(Query("sum by (kind) (owdd_held) or vector(0)", "{{kind}}"),),
                    alert="OwddHeldOld",
                ),
                Panel(
                    title="Kept as they were",
                    description=(
                        "Contacts, orders and items whose rows no longer say what they are. Dotdigital keeps the last good "
                        "state until they are corrected."
                    ),
                    unit="short",
                    queries=(Query("sum by (kind) (owdd_frozen) or vector(0)", "{{kind}}"),),
                    alert="OwddFrozen",
                ),
                Panel(
                    title="Dates that mean nothing",
                    description=(
                        "In an hour, by table: before the site's first year, or far in the future. They are not sent. Many of "
                        "one table: look at the column in Orderwise."
                    ),
                    unit="short",
                    queries=(Query(rise("owdd_dates_ignored_total", "table"), "{{table}}"),),
                ),
            ),
        ),
        Row(
            "Consent and people",
            (
                Panel(
                    title="Consent words that nobody explained",
                    description=(
                        "Contact rows of an hour whose consent word is unknown: nobody is subscribed by them. Add the word to "
                        "opted_in or opted_out."
                    ),
                    unit="short",
                    queries=(Query(rise("owdd_unknown_consent_words_total", "word"), "{{word}}"),),
                    alert="OwddUnknownConsentWord",
                ),
                Panel(
                    title="People who say in, and are out",
                    description=(
                        "In an hour: Orderwise says in, Dotdigital has them unsubscribed, and nothing is changed. Ask those "
                        "people."
                    ),
                    unit="short",
                    queries=(Query(rise("owdd_consent_conflicts_total", "rule"), "{{rule}}"),),
                    alert="OwddConsentConflict",
                ),
                Panel(
                    title="Corrections of consent",
                    description=(
                        "In an hour: contacts created before Orderwise said in, by what became of them. Stopped: a result was "
                        "not the one expected."
                    ),
                    unit="short",
                    queries=(
                        Query(rise("owdd_consent_corrections_total", "outcome"), "{{outcome}}"),
                        Query("max(owdd_consent_corrections_stopped) or vector(0)", "stopped"),
                    ),
                    alert="OwddConsentCorrectionsStopped",
                ),
                Panel(
                    title="Opt-outs, in and out",
                    description=(
                        "Contacts of an hour that became opted out: in, found so in Dotdigital; out, Orderwise's word passed "
                        "on. Many at once: look at the last campaign, or at the column in Orderwise."
                    ),
                    unit="short",
                    queries=(Query(rise("owdd_opt_outs_total", "direction"), "{{direction}}"),),
                ),
                Panel(
                    title="Erased people who are still in Orderwise",
                    description=(
                        "Changes of an hour that named a person whose erasure was asked for; they were dropped. Erase the "
                        "person in Orderwise too."
                    ),
                    unit="short",
                    queries=(Query(rise("owdd_erased_changes_total", "stage"), "{{stage}}"),),
                    alert="OwddErasedPersonInOrderwise",
                ),
                Panel(
                    title="Unsubscribed or removed at Dotdigital",
                    description=(
                        "Contacts of an hour that a reading found unsubscribed or suppressed. Many at once: look at the last "
                        "campaign."
                    ),
                    unit="short",
                    queries=(
                        Query(
                            'sum by (listing) (increase(owdd_readback_contacts_total{listing!="modified"}[1h])) or vector(0)',
                            "{{listing}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
)
