"""Code pages by their letters: Central Europe, the Balkans, Cyrillic, Greek, Turkish; and what stays as it was."""

# ruff: noqa: RUF001 - alphabets are what this is about
from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import InputError, Issue
from aleat.evidence import ReadOptions, Source, check_encoding, open_sources, read_batches, read_options
from aleat.evidence.codepages import guess_page, sample_words

CROATIAN = "Administrator je otključao račun korisnika Đorđević u Čačku: pogrešna lozinka, šifra, željeni uređaj."
ALBANIAN = "Përdoruesi nuk u gjet, fjalëkalimi është i gabuar. Çelësi i hyrjes."
RUSSIAN = "Неизвестный пользователь, пароль неверен, доступ запрещен"


@pytest.mark.parametrize(
    ("text", "page"),
    [
        (CROATIAN, "cp1250"),
        (CROATIAN, "cp852"),
        (CROATIAN, "iso8859-2"),
        ("Felhasználó bejelentkezése sikertelen: ismeretlen név vagy hibás jelszó. Őrző Gyűrű", "cp1250"),
        ("Nieprawidłowe hasło użytkownika, proszę spróbować później", "cp1250"),
        (ALBANIAN, "cp1252"),
        ("Fehler: ungültiger Schlüssel für Benutzer Müller, Größe überschritten", "cp1252"),
        ("Le mot de passe est erroné, échec de l’authentification à l’accès", "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "cp866"),
        (RUSSIAN, "koi8-r"),
        ("Корисник није пронађен, лозинка је погрешна", "cp1251"),
        ("Ο χρήστης δεν βρέθηκε, λάθος κωδικός πρόσβασης", "cp1253"),
        ("Kullanıcı bulunamadı, şifre yanlış, giriş başarısız oldu", "cp1254"),
    ],
)
def test_a_page_is_known_by_its_letters(text: str, page: str) -> None:
    guess = guess_page(sample_words(BytesIO(text.encode(page))))
    assert guess is not None
    assert guess.page == page
    assert text.encode(page).decode(guess.page) == text
    assert page not in guess.others


@pytest.mark.parametrize("word", ["Müller", "café", "naïve", "Gjylë", "è", "Ñandú"])
def test_a_single_western_word_stays_western(word: str) -> None:
    guess = guess_page(sample_words(BytesIO(word.encode("cp1252"))))
    assert guess is not None
    assert guess.page == "cp1252"


def test_utf8_beside_it_is_no_sample() -> None:
    assert sample_words(BytesIO(f"{CROATIAN}\n".encode())) == frozenset()
    mixed = f"{RUSSIAN}\n".encode() * 50 + CROATIAN.encode("cp1250")
    assert (guess := guess_page(sample_words(BytesIO(mixed)))) is not None
    assert guess.page == "cp1250"
    assert guess_page(frozenset()) is None


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_the_same_guess_twice(data: bytes) -> None:
    assert guess_page(sample_words(BytesIO(data))) == guess_page(sample_words(BytesIO(data)))


def access_log(folder: Path, text: str, page: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "access.log"
    lines = [f'10.0.0.1 - {word} [15/Jul/2022:08:00:00 +0200] "GET / HTTP/1.1" 200 12\n' for word in text.split()]
    path.write_bytes("".join(lines).encode(page))
    return path


def users(path: Path, options: ReadOptions | None = None) -> tuple[list[str], list[Issue]]:
    issues: list[Issue] = []
    (source,) = (item for item in open_sources([path], options=options) if isinstance(item, Source))
    return [str(user) for batch in read_batches(source, issues) for user in batch.table["user|s"].to_pylist()], issues


@pytest.mark.parametrize("page", ["cp1250", "cp852"])
@pytest.mark.parametrize("range_bytes", [400, 16 * 1024 * 1024])
def test_a_source_is_read_in_its_page_and_says_so(tmp_path: Path, page: str, range_bytes: int) -> None:
    names, issues = users(access_log(tmp_path, CROATIAN, page), ReadOptions(range_bytes=range_bytes))
    assert names == CROATIAN.split()
    assert {issue.code for issue in issues} == {"encoding"}
    assert f"read as {page}" in issues[0].reason
    assert "--encoding" in issues[0].advice


def test_a_stated_page_counts_by_source(tmp_path: Path) -> None:
    options = read_options(encodings=["*/fw/*=cp1251", "east/*.log=cp852"])
    assert users(access_log(tmp_path / "east", "Müller", "cp852"), options)[0] == ["Müller"]
    assert users(access_log(tmp_path / "west", "Müller", "cp1252"), options)[0] == ["Müller"]


@pytest.mark.parametrize("name", ["klingon", "", "rot13", "x" * 500])
def test_an_unknown_page_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="unknown"):
        check_encoding(name)
