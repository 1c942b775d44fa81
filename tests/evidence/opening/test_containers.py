"""Every kind of archive: read within limits, once, up to the damage; what isn't read is named."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import pytest

from aleat.errors import InputError
from aleat.evidence import Limits, ReadOptions, read_batches, source_ranges
from aleat.opening.container import Secrets
from aleat.opening.limits import change_limits
from tests.evidence.opening.archives import COMPRESSIONS, LOG, again, codes, found, lines, tar_of, zip_of

SAMPLES = Path(__file__).parent / "samples"
LOGS = {"logs/access1.log": 20, "logs/access2.log": 40, "logs/access3.log": 60, "logs/sub/é.log": 20}
READ = sorted(path.name for path in SAMPLES.iterdir() if path.suffix in (".zip", ".7z") and "ppmd" not in path.name)


@pytest.mark.parametrize("name", READ)
def test_archives_of_real_tools_are_read_at_once_and_again(name: str) -> None:
    """Of 7-Zip and Info-ZIP; encrypted ones with one of the passwords that were given."""
    counts, issues, sources = found(SAMPLES / name, secrets=["wrong", "secret"])
    expected = LOGS | ({"logs/link.log": 20} if name.startswith("streamed") else {})
    assert counts == expected
    assert again(sources) == expected
    assert Counter(codes(issues)) == {"empty-file": 1} | ({} if name.startswith("streamed") else {"passed-over": 1})


@pytest.mark.parametrize("name", [name for name in READ if "password" in name or "aes" in name or "crypto" in name])
@pytest.mark.parametrize("words", [[], ["wrong"]])
def test_encrypted_archives_say_that_they_need_a_password(name: str, words: list[str]) -> None:
    counts, issues, _ = found(SAMPLES / name, secrets=words)
    assert counts == {}
    assert "encrypted" in codes(issues)
    told = next(issue for issue in issues if issue.code == "encrypted")
    assert "--password" in told.advice
    assert ("no password given opens it" in told.reason) == bool(words)


def test_the_names_in_an_encrypted_directory_need_the_password_too() -> None:
    assert codes(found(SAMPLES / "header.7z")[1]) == ["encrypted"]


@pytest.mark.parametrize("name", ["ppmd.7z", "ppmd.zip"])
def test_packing_that_is_not_read_is_named(name: str) -> None:
    counts, issues, _ = found(SAMPLES / name)
    assert counts == {}
    assert "Unpack it with" in next(issue for issue in issues if issue.code == "broken-archive").advice


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_compressed_files_are_read_whole_also_of_several_streams(tmp_path: Path, ending: str) -> None:
    pack = COMPRESSIONS[ending]
    (tmp_path / f"a.log.{ending}").write_bytes(pack(lines(3000)) + pack(lines(500)))
    assert found(tmp_path)[:2] == ({f"a.log.{ending}": 3500}, [])


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_a_compressed_file_gives_what_comes_before_it_breaks_off(tmp_path: Path, ending: str) -> None:
    whole = COMPRESSIONS[ending](lines(40_000))
    (tmp_path / f"a.log.{ending}").write_bytes(whole[: len(whole) * 3 // 4])
    counts, issues, _ = found(tmp_path)
    least = 0 if ending == "bz2" else 10_000
    assert least < counts[f"a.log.{ending}"] < 40_000
    assert codes(issues)[-1] == "input"
    assert "breaks off" in issues[-1].reason


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_what_follows_the_end_of_a_compressed_file_is_told(tmp_path: Path, ending: str) -> None:
    whole = COMPRESSIONS[ending](lines(100))
    (tmp_path / f"a.log.{ending}").write_bytes(whole + b"\n" + bytes(500))
    assert found(tmp_path)[:2] == ({f"a.log.{ending}": 100}, [])
    (tmp_path / f"a.log.{ending}").write_bytes(whole + b"something else is here")
    counts, issues, _ = found(tmp_path)
    assert counts == {f"a.log.{ending}": 100}
    assert codes(issues) == ["input"]


def test_a_changed_gzip_costs_nothing_before_the_change(tmp_path: Path) -> None:
    """Its checksum stands at the end: all lines were read when it turns out to be wrong."""
    whole = bytearray(COMPRESSIONS["gz"](lines(5000)))
    whole[-6] ^= 1
    (tmp_path / "a.log.gz").write_bytes(bytes(whole))
    counts, issues, _ = found(tmp_path)
    assert counts == {"a.log.gz": 5000}
    assert codes(issues) == ["input"]


@pytest.mark.parametrize("ending", ["", *COMPRESSIONS])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_is_read_in_every_form(tmp_path: Path, form: int, ending: str) -> None:
    long = "/".join(["folder"] * 12 + ["a" * 60 + ".log"])
    members = {"var/log/a.log": lines(30), long: lines(20), "ë.log": lines(10)}
    data = tar_of(members, form)
    (tmp_path / "x").write_bytes(COMPRESSIONS[ending](data) if ending else data)
    counts, issues, sources = found(tmp_path)
    assert counts == {"var/log/a.log": 30, long: 20, "ë.log": 10}
    assert issues == []
    assert again(sources) == counts
    assert {source.modified for source in sources} == {1_657_872_000}


def test_what_is_no_file_in_a_tar_is_named_and_not_read(tmp_path: Path) -> None:
    target = io.BytesIO()
    kinds = {
        "link": tarfile.SYMTYPE,
        "hard": tarfile.LNKTYPE,
        "char": tarfile.CHRTYPE,
        "block": tarfile.BLKTYPE,
        "pipe": tarfile.FIFOTYPE,
    }
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("../../up.log")
        info.size = len(LOG)
        archive.addfile(info, io.BytesIO(LOG))
    (tmp_path / "x.tar").write_bytes(target.getvalue())
    counts, issues, _ = found(tmp_path)
    assert counts == {}
    assert [(issue.code, issue.place.path.partition("!")[2]) for issue in issues] == [
        *(("passed-over", name) for name in kinds),
        ("unsafe-name", "../../up.log"),
    ]


def _sparse_gnu(real: int, pieces: list[tuple[int, bytes]]) -> bytes:
    """A member of GNU's old sparse form."""
    header = bytearray(512)
    header[:8] = b"disk.log"
    header[100:108] = b"0000644\0"
    header[124:136] = b"%011o\0" % sum(len(data) for _, data in pieces)
    header[136:148] = b"00000000000\0"
    header[156:157] = b"S"
    header[257:265] = b"ustar  \0"
    for number, (place, data) in enumerate(pieces):
        header[386 + 24 * number : 410 + 24 * number] = b"%011o\0%011o\0" % (place, len(data))
    header[483:495] = b"%011o\0" % real
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    body = b"".join(data for _, data in pieces)
    return bytes(header) + body + bytes(-len(body) % 512) + bytes(1024)


def test_sparse_members_have_their_holes(tmp_path: Path) -> None:
    first, last = lines(10), lines(5)
    (tmp_path / "x.tar").write_bytes(_sparse_gnu(65536 + len(last), [(0, first), (65536, last)]))
    (source,) = found(tmp_path, files=True)[2]
    with source.stream() as stream:
        data = stream.read()
    assert data == first + bytes(65536 - len(first)) + last


def test_a_sparse_member_that_would_explode_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(_sparse_gnu(0o77777777777, [(0, LOG)]))
    assert codes(found(tmp_path)[1]) == ["limit"]


def test_sparse_members_of_pax_are_read(tmp_path: Path) -> None:
    """Version 1.0: the map stands before the data."""
    data = b"2\n0\n%d\n4096\n%d\n" % (len(LOG), len(LOG))
    body = data + bytes(512 - len(data)) + LOG + LOG
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("GNUSparseFile.1/a.log")
        info.size = len(body)
        info.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "a.log",
            "GNU.sparse.realsize": str(4096 + len(LOG)),
        }
        archive.addfile(info, io.BytesIO(body))
    (tmp_path / "x.tar").write_bytes(target.getvalue())
    (source,) = found(tmp_path, files=True)[2]
    assert source.members == ("a.log",)
    with source.stream() as stream:
        assert stream.read() == LOG + bytes(4096 - len(LOG)) + LOG


def test_a_damaged_header_costs_its_member_only(tmp_path: Path) -> None:
    data = bytearray(tar_of({"a.log": lines(20), "b.log": lines(20), "c.log": lines(20)}))
    at = data.find(b"b.log")
    data[at : at + 100] = bytes(100)
    (tmp_path / "x.tar").write_bytes(bytes(data))
    counts, issues, sources = found(tmp_path)
    assert counts == {"a.log": 20, "c.log": 20}
    assert codes(issues) == ["broken-archive"]
    assert (issues[0].place.offset, issues[0].length) == (at, 512 + 2048)
    assert again(sources) == counts


def test_a_zero_filled_stretch_is_told_and_read_over(tmp_path: Path) -> None:
    data = bytearray(tar_of({"a.log": lines(20), "b.log": lines(20), "c.log": lines(20)}))
    begin, end = data.find(b"b.log"), data.find(b"c.log")
    data[begin:end] = bytes(end - begin)
    (tmp_path / "x.tar").write_bytes(bytes(data))
    counts, issues, _ = found(tmp_path)
    assert (counts, codes(issues)) == ({"a.log": 20, "c.log": 20}, ["broken-archive"])


@pytest.mark.parametrize("ending", ["", "gz"])
def test_a_tar_that_breaks_off_gives_what_comes_before(tmp_path: Path, ending: str) -> None:
    data = tar_of({f"{name}.log": lines(2000, name) for name in "abcd"})
    whole = COMPRESSIONS[ending](data) if ending else data
    (tmp_path / "x").write_bytes(whole[: len(whole) * 5 // 8])
    counts, issues, _ = found(tmp_path)
    assert counts["a.log"] == counts["b.log"] == 2000
    assert 0 < counts["c.log"] < 2000
    assert set(codes(issues)) == {"broken-line", "input", "broken-archive"}


# -- zip ----------------------------------------------------------------------------------------------------------


def test_a_zip_without_its_directory_is_read_from_the_front(tmp_path: Path) -> None:
    whole = zip_of({f"{name}.log": lines(500, name) for name in "abc"})
    (tmp_path / "x.zip").write_bytes(whole[: whole.rfind(b"PK\3\4") + 200])
    counts, issues, _ = found(tmp_path)
    assert (counts["a.log"], counts["b.log"]) == (500, 500)
    assert counts.get("c.log", 0) < 500
    assert codes(issues)[0] == "broken-archive"
    assert "from its front" in issues[0].reason


def test_a_streamed_zip_without_its_directory_is_read_from_the_front(tmp_path: Path) -> None:
    """Its lengths stand behind the members only."""
    data = (SAMPLES / "streamed.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(data[: data.find(b"PK\1\2")])
    counts, issues, sources = found(tmp_path)
    assert counts == LOGS | {"logs/link.log": 20}
    assert "broken-archive" in codes(issues)
    assert again(sources) == counts


def test_names_that_are_no_utf8_differ_and_can_be_opened_again(tmp_path: Path) -> None:
    whole = zip_of({"AAAA.log": lines(3), "BBBB.log": lines(4)})
    (tmp_path / "x.zip").write_bytes(whole.replace(b"AAAA", b"\x81\xff\x00a").replace(b"BBBB", b"\xc3\xab\xc3\xab"))
    counts, _, sources = found(tmp_path)
    assert counts == {"ü\xa0\0a.log": 3, "ëë.log": 4}
    assert again(sources) == counts


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_members_of_one_name_are_all_read(tmp_path: Path, make: object) -> None:
    assert callable(make)
    (tmp_path / "x").write_bytes(make([("a.log", lines(1)), ("a.log", lines(2)), ("a.log#2", lines(3))]))
    counts, issues, sources = found(tmp_path)
    assert sorted(counts.items()) == [("a.log", 1), ("a.log#2", 2), ("a.log#2#2", 3)]
    assert again(sources) == counts
    assert issues == []


def test_names_that_no_file_system_takes_are_only_names(tmp_path: Path) -> None:
    names = [
        "a" * 3000 + ".log",
        "CON.log",
        "x\u202egol.exe",
        "tab\there.log",
        "nul\0l.log",
        "a:b.log",
        " .log",
        "?*<>|",
    ]
    members = [name for name in names if name[1:2] != ":"]
    (tmp_path / "x.tar").write_bytes(tar_of(dict.fromkeys(members, LOG), tarfile.PAX_FORMAT))
    counts, issues, sources = found(tmp_path)
    assert len(counts) == len(members)
    assert again(sources) == counts
    assert issues == []
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]


def test_a_member_whose_bytes_were_changed_is_read_and_told(tmp_path: Path) -> None:
    whole = bytearray(zip_of({"a.log": lines(50)}, zipfile.ZIP_STORED))
    whole[whole.find(b"GET /a/") + 5] ^= 2
    (tmp_path / "x.zip").write_bytes(bytes(whole))
    counts, issues, _ = found(tmp_path)
    assert (counts, codes(issues)) == ({"a.log": 50}, ["input"])
    assert "checksum" in issues[0].reason


def test_large_zip_archives_have_their_numbers_in_zip64(tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive, archive.open("a.log", "w", force_zip64=True) as member:
        member.write(lines(50))
    data = bytearray(target.getvalue())
    central = data.find(b"PK\1\2")
    end = data.find(b"PK\5\6")
    count, length, start = struct.unpack_from("<HII", data, end + 10)
    big = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, start)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
    struct.pack_into("<HHII", data, end + 8, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    assert central == start
    (tmp_path / "x.zip").write_bytes(bytes(data[:end]) + big + locator + bytes(data[end:]))
    assert found(tmp_path)[:2] == ({"a.log": 50}, [])


def test_a_zip_behind_something_else_is_read(tmp_path: Path) -> None:
    """Offsets that don't count what was put before the archive are shifted."""
    (tmp_path / "x.zip").write_bytes(b"PK00" + zip_of({"a.log": lines(5)}))
    assert found(tmp_path)[0] == {"a.log": 5}


# -- 7z -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_a_cut_7z_is_named(tmp_path: Path, cut: int) -> None:
    (tmp_path / "x.7z").write_bytes((SAMPLES / "lzma2.7z").read_bytes()[:-cut])
    counts, issues, _ = found(tmp_path)
    assert (counts, codes(issues)) == ({}, ["broken-archive"])


def test_damage_in_a_7z_costs_what_comes_behind_it(tmp_path: Path) -> None:
    data = bytearray((SAMPLES / "copy.7z").read_bytes())
    data[data.find(b"GET /2/1 ") + 5] ^= 1
    (tmp_path / "x.7z").write_bytes(bytes(data))
    counts, issues, _ = found(tmp_path)
    assert counts == LOGS
    assert "input" in codes(issues)


# -- bombs --------------------------------------------------------------------------------------------------------


def test_a_gzip_that_holds_itself_ends_at_the_depth(tmp_path: Path) -> None:
    """By nesting here; a quine goes on for ever, and stops at the same limit."""
    data = LOG
    for _ in range(30):
        data = COMPRESSIONS["gz"](data)
    (tmp_path / "x.gz").write_bytes(data)
    counts, issues, _ = found(tmp_path)
    assert (counts, codes(issues)) == ({}, ["limit"])
    assert "archive_depth" in issues[0].reason
    assert "--limit archive_depth=" in issues[0].advice
    assert found(tmp_path, limits=Limits(archive_depth=31))[0] == {"x.gz": 1}


def test_nested_archives_share_one_allowance(tmp_path: Path) -> None:
    """As 42.zip is made: sixteen archives of sixteen archives …, each of zeros."""
    data = zip_of({f"{number}.dll": bytes(5_000_000) for number in range(4)})
    for _ in range(2):
        data = zip_of({f"{number}.zip": data for number in range(8)})
    (tmp_path / "42.zip").write_bytes(data)
    limits = Limits(expansion_free_bytes=30_000_000, expansion_ratio=10)
    counts, issues, _ = found(tmp_path, limits=limits, files=True)
    assert counts != {}
    assert "limit" in codes(issues)
    assert sum(issue.code == "limit" for issue in issues) <= 102
    assert any("further members" in issue.reason for issue in issues)
    assert "expansion_ratio" in next(issue for issue in issues if issue.code == "limit").reason


def test_overlapping_members_share_the_allowance_too(tmp_path: Path) -> None:
    """A directory may name the same bytes again and again."""
    data = zip_of({"a.log": bytes(3_000_000)}, zipfile.ZIP_STORED)
    central, end = data.find(b"PK\1\2"), data.find(b"PK\5\6")
    entry = data[central:end]
    many = b"".join(entry.replace(b"a.log", b"%05d" % number) for number in range(200))
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 200, 200, len(many))
    (tmp_path / "x.zip").write_bytes(data[:central] + many + bytes(tail))
    _, issues, _ = found(tmp_path, limits=Limits(expansion_free_bytes=20_000_000, expansion_ratio=2), files=True)
    assert "limit" in codes(issues)


@pytest.mark.parametrize("ending", ["xz", "zst"])
def test_a_dictionary_that_is_too_large_is_refused(tmp_path: Path, ending: str) -> None:
    import lzma  # noqa: PLC0415

    from backports import zstd  # noqa: PLC0415

    if ending == "xz":
        chain = [{"id": lzma.FILTER_LZMA2, "dict_size": 64 * 1024 * 1024}]
        data = lzma.compress(lines(100), filters=chain)
    else:
        stream = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 26})
        data = stream.compress(lines(100)) + stream.flush()
    (tmp_path / "a.log").write_bytes(data)
    assert found(tmp_path)[0] == {"a.log": 100}
    counts, issues, _ = found(tmp_path, limits=Limits(decoder_bytes=8 * 1024 * 1024))
    assert (counts, codes(issues)) == ({}, ["broken-archive"])
    assert "decoder_bytes" in issues[0].reason


def test_a_7z_that_wants_too_much_memory_is_refused() -> None:
    counts, issues, _ = found(SAMPLES / "lzma2.7z", limits=Limits(decoder_bytes=4096))
    assert counts == {}
    assert any("decoder_bytes" in issue.reason for issue in issues)


def test_a_password_that_is_hashed_for_ever_is_refused() -> None:
    counts, issues, _ = found(SAMPLES / "password.7z", secrets=["secret"], limits=Limits(password_rounds=1000))
    assert counts == {}
    assert any("password_rounds" in issue.reason for issue in issues)


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_very_many_empty_members_are_counted(tmp_path: Path, make: object) -> None:
    assert callable(make)
    (tmp_path / "x").write_bytes(make({f"{number:06}": b"" for number in range(3000)} | {"z.log": LOG}))
    counts, issues, _ = found(tmp_path)
    assert counts == {"z.log": 1}
    assert len(issues) == 11
    assert "2990 further members" in issues[-1].reason
    counts, issues, _ = found(tmp_path, limits=Limits(archive_members=100))
    assert counts == {}
    assert any("archive_members" in issue.reason for issue in issues)


def test_an_extended_header_of_any_length_is_not_taken(tmp_path: Path) -> None:
    data = bytearray(tar_of({"a.log": LOG}, tarfile.PAX_FORMAT))
    header = bytearray(data[:512])
    header[156:157] = b"x"
    header[124:136] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "x.tar").write_bytes(bytes(header) + bytes(data))
    counts, issues, _ = found(tmp_path)
    assert (counts, codes(issues)) == ({}, ["broken-archive"])


def test_a_directory_of_any_length_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zip_of({f"{number}.log": LOG for number in range(100)}))
    counts, issues, _ = found(tmp_path, limits=Limits(archive_directory_bytes=1000))
    assert (counts, codes(issues)) == ({}, ["limit"])
    assert "archive_directory_bytes" in issues[0].reason


# -- the rest -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"Rar!\x1a\x07\x01\0", "RAR"),
        (b"MSCF\0\0\0\0", "cabinet"),
        (b"\xd4\xc3\xb2\xa1\2\0\4\0", "packet capture"),
        (b"\x0a\x0d\x0d\x0a\x1c\0\0\0", "packet capture"),
    ],
)
def test_what_is_not_opened_is_refused_by_name(tmp_path: Path, head: bytes, word: str) -> None:
    (tmp_path / "x").write_bytes(head + bytes(1000))
    (issue,) = found(tmp_path)[1]
    assert word in issue.reason
    assert issue.advice


def test_limits_are_changed_by_name() -> None:
    limits = change_limits(["archive_depth=9", "place_bytes = 2T", "files=1_000"])
    assert (limits.archive_depth, limits.place_bytes, limits.files) == (9, 2 * 1024**4, 1000)
    for wrong in ("depth=9", "archive_depth", "archive_depth=-1", "archive_depth=many"):
        with pytest.raises(InputError):
            change_limits([wrong])


def test_passwords_are_never_shown_nor_passed_on() -> None:
    import pickle  # noqa: PLC0415

    secrets = Secrets(["open sesame"])
    assert "sesame" not in repr(secrets)
    assert pickle.loads(pickle.dumps(secrets)) == Secrets()  # noqa: S301 - our own
    (source, *_) = found(SAMPLES / "aes256.zip", secrets=["secret"])[2]
    assert "secret" not in repr(source)
    assert b"secret" not in pickle.dumps(source)


def test_a_source_is_read_once_however_often_it_is_opened(tmp_path: Path) -> None:
    """While the walk stands at it, its bytes come from the walk's own stream; a second pass reads the same."""
    (tmp_path / "x.tar.gz").write_bytes(COMPRESSIONS["gz"](tar_of({"a.log": lines(50_000), "b.log": lines(10)})))
    from aleat.evidence import Source, open_sources  # noqa: PLC0415

    for source in open_sources([tmp_path]):
        assert isinstance(source, Source)
        with source.stream() as first, source.stream() as second:
            head = first.read(1000)
            whole = second.read()
            assert head + first.read() == whole
        assert sum(batch.table.num_rows for batch in read_batches(source, [])) in (50_000, 10)
    assert sum(len(data) for _, data in source_ranges(source)) == len(lines(10))


def test_damaged_files_are_no_evidence_as_files(tmp_path: Path) -> None:
    """A hash of half a file would be of nothing."""
    whole = zip_of({"a.bin": os.urandom(100_000)})
    (tmp_path / "x.zip").write_bytes(whole[:50_000])
    counts, issues, _ = found(tmp_path, files=True, options=ReadOptions())
    assert set(counts.values()) <= {0}
    assert "input" in codes(issues)


def _with_header(name: str, old: bytes, new: bytes) -> bytes:
    """A 7z sample whose directory is another, with the right checksums."""
    data = (SAMPLES / name).read_bytes()
    offset, length = struct.unpack_from("<QQ", data, 12)
    header = data[32 + offset : 32 + offset + length]
    assert old in header
    header = header.replace(old, new)
    start = struct.pack("<QQI", offset, length, zlib.crc32(header))
    return data[:8] + struct.pack("<I", zlib.crc32(start)) + start + data[32 : 32 + offset] + header


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("header.7z", b"\x03\x01\x01", b"\x03\x21\x01", "packed by 032101"),
        ("lzma.7z", b"\x03\x01\x01\x05\x5d", b"\x03\x01\x01\x05\x2c", "LZMAError"),
    ],
)
def test_coders_that_a_directory_itself_can_not_be_packed_by_are_told(
    tmp_path: Path, name: str, old: bytes, new: bytes, said: str
) -> None:
    """The fuzzer's finds: the directory's own coders were taken for known ones, and with any settings."""
    (tmp_path / "x.7z").write_bytes(_with_header(name, old, new))
    counts, issues, _ = found(tmp_path, secrets=["secret"])
    assert (counts, codes(issues)) == ({}, ["broken-archive"])
    assert said in issues[0].reason
