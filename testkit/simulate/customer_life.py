"""What happens to accounts and their people: they come, change their address, move, leave, and come back."""

from functools import partial

from testkit.simulate import people
from testkit.simulate.actions import Action
from testkit.simulate.shop import Shop
from testkit.simulate.tables import CONTACT, CUSTOMER, ERASED, OPT_IN, Row, Value

RETURN_SHARE = 0.6
"""How many deleted customers are entered again under their old id."""


class CustomerLife:
    """Changes to customer and contact rows."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def actions(self) -> list[Action]:
        actions = [
            Action("contact_added", 8, self.add_contact),
            Action("contact_renamed", 8, self.rename),
            Action("contact_email_changed", 20, self.change_email),
            Action("contact_email_taken", 8, self.take_email),
            Action("contact_email_untidy", 6, self.untidy_email),
            Action("contact_email_junk", 5, self.lose_email),
            Action("contact_saved_twice_in_commit", 5, self.save_twice, descending=True),
            Action("contact_moved", 8, self.move),
            Action("contact_unassigned", 2, self.unassign),
            Action("contact_key_changed", 4, self.rekey),
            Action("contact_deleted", 7, self.delete_contact),
            Action("contact_reinserted", 5, self.reinsert_contact),
            Action("customer_touched", 10, self.touch),
            Action("customer_email_changed", 8, self.change_account_email),
            Action("customer_code_changed", 5, self.change_code),
            Action("customer_trade_changed", 4, self.change_trade),
            Action("customer_deleted_with_contacts", 3, partial(self.delete_customer, contacts=True)),
            Action("customer_deleted_alone", 3, partial(self.delete_customer, contacts=False)),
        ]
        if self._shop.house:
            actions += [
                Action("house_contact_added", 8, self.add_house_contact),
                Action("contact_moved_to_house", 3, self.move_to_house),
            ]
        if self._shop.config.consent:
            actions.append(Action("consent_changed", 20, self.change_consent))
        if self._shop.config.mapping.erasure is not None:
            actions.append(Action("erasure_asked", 3, self.ask_erasure))
        return actions

    def open_account(self) -> bool:
        """A new customer: three in ten on credit, with several contacts."""
        self._shop.add_account(trade=self._shop.rng.random() < 0.3)
        return True

    def _contact(self) -> int | None:
        return self._shop.contacts.draw(self._shop.rng)

    def _update(self, **values: Value) -> bool:
        key = self._contact()
        if key is None:
            return False
        self._shop.db.update(CONTACT, key, **values, cc_last_amended_datetime=self._shop.clock())
        return True

    def add_contact(self) -> bool:
        shop = self._shop
        customer = shop.open_accounts.draw(shop.rng)
        if customer is None:
            return False
        who = shop.person()
        shop.add_contact(customer, who, email=shop.email_field(who.email))
        return True

    def add_house_contact(self) -> bool:
        """The web shop adds a guest to the house account as a contact."""
        shop = self._shop
        who = shop.guest()
        shop.add_contact(shop.rng.choice(shop.house), who, email=shop.email_field(who.email))
        return True

    def rename(self) -> bool:
        who = self._shop.person()
        if self._shop.rng.random() < 0.3:
            return self._update(cc_first_name=None, cc_last_name="", cc_name=f" {who.first} de {who.last}")
        return self._update(cc_first_name=who.first, cc_last_name=who.last, cc_name=f"{who.first} {who.last}")

    def change_email(self) -> bool:
        return self._update(cc_email=self._shop.person().email)

    def take_email(self) -> bool:
        """A change to an address that somebody else has already."""
        return self._update(cc_email=self._shop.rng.choice(self._shop.addresses))

    def untidy_email(self) -> bool:
        shop = self._shop
        raw, kind = people.typed(shop.rng, shop.person().email, shop.rng.choice(shop.addresses))
        shop.seen[kind] += 1
        return self._update(cc_email=raw)

    def lose_email(self) -> bool:
        raw, kind = people.junk(self._shop.rng)
        self._shop.seen[kind] += 1
        return self._update(cc_email=self._shop.rng.choice((raw, raw, None, "")))

    def save_twice(self) -> bool:
        """Two changes of one row in one transaction: an address that lives for no time at all, then another."""
        key, db = self._contact(), self._shop.db
        if key is None:
            return False
        db.update(CONTACT, key, cc_email=self._shop.person().email)
        db.update(CONTACT, key, cc_email=self._shop.person().email, cc_first_name="Twice")
        return True

    def move(self) -> bool:
        """A contact changes employer; its address goes along."""
        shop = self._shop
        customer = shop.open_accounts.draw(shop.rng)
        return customer is not None and self._reassign(customer)

    def move_to_house(self) -> bool:
        return self._reassign(self._shop.rng.choice(self._shop.house))

    def unassign(self) -> bool:
        return self._reassign(self._shop.none())

    def _reassign(self, customer: Value) -> bool:
        key, shop = self._contact(), self._shop
        if key is None:
            return False
        owner = shop.db.row(CONTACT, key)["cc_customer_id"]
        if owner == customer:
            return False
        self._disown(key, owner)
        self._own(key, customer)
        shop.db.update(CONTACT, key, cc_customer_id=customer)
        return True

    def _disown(self, key: int, owner: Value) -> None:
        account = self._shop.accounts.get(owner) if isinstance(owner, int) else None
        if account is not None and key in account.contacts:
            account.contacts.remove(key)

    def _own(self, key: int, owner: Value) -> None:
        account = self._shop.accounts.get(owner) if isinstance(owner, int) else None
        if account is not None:
            account.contacts.append(key)

    def rekey(self) -> bool:
        """A primary key changes: the row leaves under the old key and comes under a new one."""
        key, shop = self._contact(), self._shop
        if key is None:
            return False
        new, owner = shop.db.new_key(CONTACT), shop.db.row(CONTACT, key)["cc_customer_id"]
        shop.db.rekey(CONTACT, key, new)
        shop.contacts.discard(key)
        shop.contacts.add(new)
        self._disown(key, owner)
        self._own(new, owner)
        return True

    def delete_contact(self) -> bool:
        key = self._contact()
        if key is None:
            return False
        self._shop.deleted_contacts.append(self._delete_contact(key))
        return True

    def _delete_contact(self, key: int) -> Row:
        row = self._shop.db.delete(CONTACT, key)
        self._shop.contacts.discard(key)
        self._disown(key, row["cc_customer_id"])
        return row

    def reinsert_contact(self) -> bool:
        """A deleted contact is entered again under its old key, with another name and perhaps another address."""
        shop = self._shop
        if not shop.deleted_contacts:
            return False
        row, who = shop.deleted_contacts.popleft(), shop.person()
        row |= {"cc_first_name": who.first, "cc_last_name": who.last, "cc_input_datetime": shop.clock()}
        if shop.rng.random() < 0.5:
            row["cc_email"] = who.email
        key = row["cc_id"]
        assert isinstance(key, int)
        shop.db.insert(CONTACT, row)
        shop.contacts.add(key)
        self._own(key, row["cc_customer_id"])
        return True

    def _customer(self) -> int | None:
        return self._shop.open_accounts.draw(self._shop.rng)

    def _update_customer(self, **values: Value) -> bool:
        key = self._customer()
        if key is None:
            return False
        self._shop.db.update(CUSTOMER, key, **values, cd_last_amended_datetime=self._shop.clock())
        return True

    def touch(self) -> bool:
        """A save of columns that nobody mapped."""
        rng = self._shop.rng
        return self._update_customer(cd_statement_town=rng.choice(people.TOWNS), cd_statement_postcode=people.postcode(rng))

    def change_account_email(self) -> bool:
        shop = self._shop
        column = shop.rng.choice(("cd_statement_email", "cd_invoice_email"))
        value: Value = shop.email_field(shop.person().email) if shop.rng.random() < 0.8 else None
        return self._update_customer(**{column: value})

    def change_code(self) -> bool:
        rng = self._shop.rng
        return self._update_customer(cd_ow_account=rng.choice((None, "", f"ACC{rng.randrange(10**5):05d} ")))

    def change_trade(self) -> bool:
        return self._update_customer(cd_account_customer=self._shop.rng.choice((True, False, None)))

    def delete_customer(self, *, contacts: bool) -> bool:
        """A customer is deleted, with its contacts or leaving them behind; orders stay. Most come back later."""
        key, shop = self._customer(), self._shop
        if key is None:
            return False
        account = shop.accounts[key]
        shop.open_accounts.discard(key)
        if contacts:
            for contact in list(account.contacts):
                self._delete_contact(contact)
            account.contacts.clear()
        row = shop.db.delete(CUSTOMER, key)

        def come_back() -> bool:
            shop.db.insert(CUSTOMER, row)
            shop.open_accounts.add(key)
            shop.seen["customer_reinserted"] += 1
            return True

        if shop.rng.random() < RETURN_SHARE:
            shop.later(shop.rng.randint(1, 80), come_back)
        return True

    def ask_erasure(self) -> bool:
        """Somebody asks to be forgotten; the row says so from now on, whoever it names."""
        return self._update(**{ERASED: self._shop.erased()})

    def change_consent(self) -> bool:
        """Somebody opts in or out, or the record of it is cleared."""
        return self._update(**{OPT_IN: self._shop.opt_in()})
