"""Every variant of every kernel family compiles for each of its architectures, to the code it is meant to be."""

from functools import cache

import pytest
from regraft.kernels import families
from regraft.lowering.tile import Builder, Variant, audit, cdiv, span
from regraft.lowering.tile.audit import Machine, check, compile_all, compile_for, faults

PAIRS = [(variant, arch) for family in families().values() for variant in family for arch in variant.arches]


@cache
def machines():
    """All of them, side by side: half a second to two each, and nothing where the cache has them."""
    made = compile_all([(variant.build(), arch) for variant, arch in PAIRS])
    return {(variant.name, arch): machine for (variant, arch), machine in zip(PAIRS, made, strict=True)}


@pytest.mark.parametrize(("variant", "arch"), PAIRS, ids=[f"{variant.name}-{arch}" for variant, arch in PAIRS])
def test_the_machine_code_is_what_it_is_meant_to_be(variant, arch):
    assert faults(variant, variant.build(), machines()[variant.name, arch]) == []


def test_names_of_variants_are_unique_and_begin_with_their_family():
    names = [variant.name for variant, _ in {v.name: (v, a) for v, a in PAIRS}.values()]
    assert len(names) == len(set(names))
    for family, variants in families().items():
        assert all(variant.name.startswith(f"{family}.") for variant in variants)


def product(dtype="f16", precision="", side=64):
    """c = a @ b."""
    t = Builder("product", "c = a @ b.", warps=4, stages=2)
    M, N, K = t.sizes("M", "N", "K")
    a, b, c = t.input("a", (M, K), dtype), t.input("b", (K, N), dtype), t.output("c", (M, N), dtype)
    i, j = t.tasks(("i", cdiv(M, side)), ("j", cdiv(N, side)))
    with t.loop("k", cdiv(K, 32), stages=2, acc=t.zeros(side, side)) as loop:
        left = t.load(a, (span(i * side, side), span(loop.index * 32, 32)))
        right = t.load(b, (span(loop.index * 32, 32), span(j * side, side)))
        loop["acc"] = t.dot(left, right, loop["acc"], precision=precision)
    t.store(c, (span(i * side, side), span(j * side, side)), loop["acc"])
    return t.program()


def test_products_of_halves_run_on_the_units_of_each_architecture():
    units = {"sm_80": "mma", "sm_90": "wgmma", "sm_100": "tcgen05", "gfx942": "mfma"}
    for arch, unit in units.items():
        assert compile_for(product(), arch).instructions[unit] > 0, arch


def test_tf32_is_found_and_has_to_be_asked_for():
    rounded = Variant("product.tf32", lambda: product("f32", "tf32"))
    assert check(rounded, "sm_80") == ["fp32 operands are rounded to TF32"]
    assert check(Variant("product.tf32", lambda: product("f32", "tf32"), tf32=True), "sm_80") == []
    assert not compile_for(product("f32", side=32), "sm_80").tf32


@pytest.mark.parametrize(
    ("machine", "fault"),
    [
        (Machine("sm_90", fault="no"), "it does not compile: no"),
        (Machine("sm_90", spill_bytes=8, instructions={"wgmma": 1}), "a thread spills 8 bytes, 4 are allowed"),
        (Machine("sm_86", shared_bytes=120_000, instructions={"mma": 1}), "it takes 120000 bytes of shared memory"),
        (Machine("sm_90"), "its products of halves do not run on the matrix units"),
    ],
    ids=["fault", "spills", "shared", "units"],
)
def test_every_fault_is_told(machine, fault):
    (found,) = faults(Variant("product.f16", product, spill_bytes={"sm_90": 4}), product(), machine)
    assert found.startswith(fault)


def test_what_the_compiler_rejects_is_a_fault_with_its_reason(monkeypatch):
    whole = audit.launch.source(product())
    monkeypatch.setattr(audit.launch, "source", lambda program: whole.replace("tl.dot(", "tl.no_such_product("))
    assert "no_such_product" in compile_for(product(), "sm_86").fault


def test_results_are_kept_and_a_damaged_file_is_written_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("REGRAFT_CACHE", str(tmp_path))
    first = compile_for(product(), "sm_80")
    (file,) = audit.audit_directory().glob("*.json")
    whole = file.read_text()
    monkeypatch.setattr(audit, "_ask", lambda job: pytest.fail("it was in the cache"))
    assert compile_for(product(), "sm_80") == first
    monkeypatch.undo()
    monkeypatch.setenv("REGRAFT_CACHE", str(tmp_path))
    file.write_text(whole[:20])
    assert compile_for(product(), "sm_80").registers == first.registers
    assert "is damaged" in caplog.text
    assert len(file.read_text()) >= len(whole) - 8


def test_texts_of_every_stage_can_be_had():
    texts = compile_for(product(), "sm_90", texts=True).texts
    assert {"ttir", "ttgir", "llir", "ptx"} <= set(texts)
    assert ".target sm_90a" in texts["ptx"]
