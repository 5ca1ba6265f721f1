"""What shops call their columns, in several languages, and how well a name fits a field."""

import re
import unicodedata
from typing import Final

WORDS: Final[dict[str, tuple[str, ...]]] = {
    # Of each field the better name stands first.
    "customer_id": (
        *(
            "customer id",
            "customerid",
            "customer number",
            "customer no",
            "customer nr",
            "customer key",
            "customer code",
        ),
        *("customer", "cust id", "cust no", "client id", "clientid", "client number", "client", "user id", "userid"),
        *("member id", "buyer id", "account id", "account number", "shopper id", "contact id", "debtor"),
        *("kundennummer", "kundennr", "kunden nr", "kunden nummer", "kunden id", "kundenid", "kd nr", "kdnr", "kunde"),
        *("debitor", "debitorennummer", "numero client", "n client", "no client", "code client", "id client"),
        *(
            "identifiant client",
            "id cliente",
            "cliente id",
            "codigo cliente",
            "numero cliente",
            "cliente",
            "no cliente",
        ),
        *("codice cliente", "num cliente", "klantnummer", "klant id", "klantnr", "klant", "id klienta", "klient"),
        *("numer klienta", "kundnummer", "kundenummer", "kunde id", "asiakasnumero", "zakaznik", "musteri no"),
    ),
    "email": (
        *(
            "email",
            "e mail",
            "email address",
            "e mail address",
            "customer email",
            "billing email",
            "mail",
            "buyer email",
        ),
        *("e mail adresse", "email adresse", "mailadresse", "courriel", "adresse e mail", "adresse email"),
        *("correo electronico", "correo", "indirizzo email", "e mailadres", "emailadres", "adres e mail"),
    ),
    "order_id": (
        *("order id", "orderid", "order number", "order no", "order nr", "order name", "order ref", "order reference"),
        *(
            "invoice no",
            "invoice number",
            "invoice id",
            "invoice nr",
            "invoice",
            "order",
            "transaction id",
            "basket id",
        ),
        *("transaction number", "receipt number", "receipt no", "receipt id", "receipt", "sales order", "ticket"),
        *("document number", "document no", "bestellnummer", "bestellnr", "bestell nr", "bestellung", "bestell id"),
        *("auftragsnummer", "auftragsnr", "auftrag", "auftrags nr", "rechnungsnummer", "rechnungsnr", "rechnungs nr"),
        *("rechnung", "belegnummer", "belegnr", "beleg", "vorgang", "bonnummer", "bon"),
        *("numero commande", "n commande", "no commande", "id commande", "commande", "reference commande", "facture"),
        *(
            "numero facture",
            "n facture",
            "numero de commande",
            "numero pedido",
            "numero de pedido",
            "id pedido",
            "pedido",
        ),
        *("factura", "numero factura", "numero ordine", "id ordine", "ordine", "numero fattura", "fattura"),
        *("bestelnummer", "ordernummer", "factuurnummer", "bestelling", "numer zamowienia", "id zamowienia"),
        *("zamowienie", "numer faktury", "ordrenummer", "bestillingsnummer", "tilausnumero", "nota fiscal", "recibo"),
    ),
    "occurred_at": (
        *("order date", "orderdate", "ordered at", "order time", "order datetime", "order timestamp", "date ordered"),
        *(
            "purchase date",
            "purchased at",
            "invoice date",
            "invoicedate",
            "transaction date",
            "created at",
            "sale date",
        ),
        *("date", "datetime", "timestamp", "time", "created", "placed at", "paid at", "date created", "date time"),
        *("creation date", "bestelldatum", "bestellzeit", "bestellt am", "auftragsdatum", "rechnungsdatum"),
        *("belegdatum", "kaufdatum", "datum", "zeitpunkt", "erstellt am", "datum uhrzeit", "datum zeit"),
        *("date commande", "date de commande", "date facture", "date de facture", "date achat", "date d achat"),
        *("fecha pedido", "fecha de pedido", "fecha", "fecha factura", "fecha compra", "fecha de compra"),
        *("data ordine", "data", "data fattura", "data acquisto", "data do pedido", "data pedido", "data compra"),
        *("besteldatum", "orderdatum", "factuurdatum", "aankoopdatum", "data zamowienia", "data faktury"),
        *("data sprzedazy", "bestillingsdato", "ordredato", "dato", "tilauspaiva", "siparis tarihi"),
    ),
    "item_id": (
        *("sku", "item id", "itemid", "item number", "item no", "item code", "product id", "productid", "product code"),
        *(
            "product number",
            "product sku",
            "lineitem sku",
            "line item sku",
            "stock code",
            "stockcode",
            "article number",
        ),
        *("article no", "article id", "article code", "variant sku", "variant id", "ean", "gtin", "asin", "upc"),
        *("artikelnummer", "artikelnr", "artikel nr", "artikel nummer", "artikel id", "art nr", "artnr"),
        *("produktnummer", "produkt id", "produktnr", "materialnummer", "material", "reference produit", "ref produit"),
        *("code article", "code produit", "reference", "ref", "id produit", "id producto", "codigo producto"),
        *("codigo articulo", "referencia", "codice articolo", "codice prodotto", "id prodotto", "artikelcode"),
        *("productcode", "kod produktu", "id produktu", "indeks", "varenummer", "codigo produto", "id produto"),
        *("item", "product", "article", "artikel", "produkt", "lineitem name", "line item name"),
    ),
    "name": (
        *("product name", "item name", "productname", "description", "product title", "title", "product description"),
        *("item description", "lineitem name", "line item name", "article name", "product", "item", "article"),
        *("artikelbezeichnung", "artikelname", "produktname", "bezeichnung", "produktbezeichnung", "artikel"),
        *(
            "artikeltext",
            "beschreibung",
            "produkt",
            "designation",
            "libelle",
            "nom produit",
            "nom du produit",
            "produit",
        ),
        *("descripcion", "nombre producto", "producto", "articulo", "descrizione", "nome prodotto", "prodotto"),
        *("articolo", "omschrijving", "productnaam", "nazwa produktu", "nazwa towaru", "nazwa", "descricao", "produto"),
        *("varenavn", "beskrivelse"),
    ),
    "category": (
        *("category", "product category", "product type", "department", "product group", "item category"),
        *("warengruppe", "kategorie", "produktgruppe", "artikelgruppe", "sortiment", "categorie", "rayon", "famille"),
        *("categoria", "familia", "reparto", "famiglia", "categorie produit", "productgroep", "kategoria", "kategori"),
    ),
    "quantity": (
        *("quantity", "qty", "order quantity", "ordered quantity", "quantity ordered", "lineitem quantity"),
        *("line item quantity", "item quantity", "units", "pieces", "pcs", "count", "amount of items", "qty ordered"),
        *("menge", "anzahl", "stuckzahl", "stuck", "stueck", "stueckzahl", "stk", "bestellmenge", "quantite", "qte"),
        *("nombre", "cantidad", "cant", "unidades", "quantita", "qta", "pezzi", "aantal", "ilosc", "sztuk", "szt"),
        *("quantidade", "qtd", "antall", "antal", "maara", "adet"),
    ),
    "unit_price": (
        *("unit price", "unitprice", "price per unit", "item price", "lineitem price", "line item price", "price each"),
        *(
            "product price",
            "unit cost",
            "selling price",
            "price",
            "einzelpreis",
            "stuckpreis",
            "stueckpreis",
            "e preis",
        ),
        *("preis pro stuck", "verkaufspreis", "vk preis", "artikelpreis", "preis", "prix unitaire", "pu", "prix"),
        *("precio unitario", "precio", "prezzo unitario", "prezzo", "stuksprijs", "prijs per stuk", "eenheidsprijs"),
        *(
            "prijs",
            "cena jednostkowa",
            "cena",
            "preco unitario",
            "preco",
            "enhetspris",
            "stykpris",
            "pris",
            "birim fiyat",
        ),
    ),
    "amount": (
        *("line total", "line amount", "linetotal", "line item total", "item total", "line price", "line value"),
        *(
            "row total",
            "extended price",
            "line revenue",
            "subtotal",
            "amount",
            "sales",
            "revenue",
            "net amount",
            "value",
        ),
        *(
            "total",
            "total price",
            "total amount",
            "order total",
            "grand total",
            "order amount",
            "order value",
            "turnover",
        ),
        *("gesamtpreis", "positionssumme", "zeilensumme", "positionswert", "gesamtbetrag", "betrag", "umsatz", "summe"),
        *("gesamt", "bestellwert", "rechnungsbetrag", "wert", "nettobetrag", "bruttobetrag", "endpreis"),
        *("prix total", "montant", "total ligne", "montant total", "montant ttc", "importe", "importe total"),
        *("precio total", "totale", "importo", "prezzo totale", "totale riga", "bedrag", "totaal", "totaalprijs"),
        *(
            "wartosc",
            "kwota",
            "cena calkowita",
            "suma",
            "valor",
            "valor total",
            "preco total",
            "belop",
            "belob",
            "totalt",
        ),
    ),
    "currency": (
        *("currency", "currency code", "order currency", "curr", "ccy", "wahrung", "waehrung", "wahrungscode"),
        *("wahrungskennzeichen", "devise", "monnaie", "moneda", "divisa", "valuta", "waluta", "moeda", "valutta"),
        *("para birimi",),
    ),
}
ONLY_WHOLE: Final = frozenset(
    {
        *("customer", "client", "kunde", "cliente", "klant", "klient", "order", "invoice", "receipt", "ticket", "data"),
        *("bestellung", "auftrag", "rechnung", "beleg", "bon", "commande", "facture", "pedido", "factura", "ordine"),
        *("fattura", "bestelling", "zamowienie", "recibo", "vorgang", "date", "time", "created", "datum", "mail", "pu"),
        *(
            "item",
            "product",
            "article",
            "artikel",
            "produkt",
            "material",
            "reference",
            "ref",
            "indeks",
            "nombre",
            "title",
        ),
        *("count", "total", "value", "wert", "amount", "price", "preis", "prix", "prezzo", "prijs", "pris", "cena"),
        *("units", "pieces", "nazwa", "suma", "summe", "gesamt", "valor", "totale", "totaal", "sales", "revenue"),
        *("produit", "producto", "articulo", "prodotto", "articolo", "produto", "description", "bezeichnung"),
        *("debtor", "debitor", "precio", "preco", "subtotal", "betrag", "umsatz", "montant", "importe", "importo"),
    }
)
"""Names that say something only when nothing stands beside them: an order date is no order."""


def normal(name: str) -> str:
    """A column's name as words in small letters, without accents and what stands in brackets.

    >>> normal("Währung"), normal("OrderDate (UTC)"), normal("E-Mail"), normal("N° commande")
    ('wahrung', 'order date', 'e mail', 'n commande')
    """
    bare = re.sub(r"[(\[{].*?[)\]}]", " ", name) or name
    parted = re.sub(r"([a-z\d])([A-Z])", r"\1 \2", bare)
    letters = unicodedata.normalize("NFKD", parted.casefold().replace("ł", "l").replace("ø", "o"))
    plain = "".join(one for one in letters if not unicodedata.combining(one)).replace("°", " ").replace("º", " ")
    return " ".join(re.findall(r"[^\W_]+", plain))


def fit(column: str, field: str) -> float:
    """How well a column's name fits a field: 0 not at all, above 2 the whole name, above 1 a part of it."""
    name = normal(column)
    padded = f" {name} "
    best = 0.0
    for place, words in enumerate(WORDS[field]):
        if name == words or name.replace(" ", "") == words.replace(" ", ""):
            return 3.0 - place / 1000
        if words not in ONLY_WHOLE and len(words) > 2 and f" {words} " in padded:
            best = max(best, 2.0 - place / 1000 - 0.05 * (len(name.split()) - len(words.split())))
    return best
