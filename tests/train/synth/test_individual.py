"""Made people with expressions and strengths of their own."""

import numpy as np

from train.synth.action_units import RECIPES, draw_expression
from train.synth.clip import ClipSettings
from train.synth.drawn import drawn_face
from train.synth.generate import ClipPlan, generate
from train.synth.individual import OTHER_RECIPES, individual

SETTINGS = ClipSettings()
SETS = {"negative", "positive", "surprise"}


def units(settings: ClipSettings, name: str, seed: int = 0) -> set[frozenset[int]]:
    rng = np.random.default_rng(seed)
    return {frozenset(u.number for u in draw_expression(rng, name, settings.one_sided)) for _ in range(60)}


def test_nobodys_recipes_are_the_usual_ones() -> None:
    assert OTHER_RECIPES.keys() == SETS == RECIPES.keys()
    for name, recipes in OTHER_RECIPES.items():
        usual = {(one.units, one.one_sided == 1.0) for one in RECIPES[name]}
        assert not usual & {(one.units, one.one_sided == 1.0) for one in recipes}


def test_people_differ_and_each_is_alike_every_time() -> None:
    people = [individual(SETTINGS, 5, f"p{number}") for number in range(6)]
    assert len({round(one.peak_max_px, 6) for one in people}) == 6
    assert len({frozenset(units(one, "negative")) for one in people}) > 2
    again = individual(SETTINGS, 5, "p0")
    assert again == people[0] and individual(SETTINGS, 6, "p0") != again
    for one in people:
        assert 0 < one.peak_min_px < one.peak_max_px and len(one.one_sided.recipes("surprise")) == 2


def test_a_plan_with_own_recipes_gives_everybody_theirs() -> None:
    faces = [drawn_face(0), drawn_face(1)]
    plan = ClipPlan(("negative", "positive"), 8, 5, ClipSettings(hard_share=0.0), own_recipes=True)
    made = [record for record, _ in generate(plan, faces, 1)]
    for record in made:
        own = individual(plan.settings, 5, record.subject).one_sided.recipes(record.label)
        acting = {int(code.strip("LR")) for code in record.action_units}
        assert any(set(one.units) <= acting for one in own)
