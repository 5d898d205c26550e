from prunet.base.seeds import derive


def test_a_seed_depends_on_the_study_seed_and_the_purpose_alone():
    assert derive(0, "digits", "order", 1) == 8555481571549342986
    others = [
        derive(1, "digits", "order", 1),
        derive(0, "digits", "order", 2),
        derive(0, "digits", "init", 1),
    ]
    assert len({derive(0, "digits", "order", 1), *others}) == 4
    assert all(0 <= seed < 2**63 for seed in others)
