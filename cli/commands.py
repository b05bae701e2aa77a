"""Every command of `vivant`. Each is a file of this folder."""

from __future__ import annotations

import typer

from vivant.cli.adapters import app as adapters
from vivant.cli.bench import bench
from vivant.cli.body import app as body
from vivant.cli.distill import app as distill
from vivant.cli.doctor import doctor
from vivant.cli.engines import app as engines
from vivant.cli.guard import app as guard
from vivant.cli.isf import app as isf
from vivant.cli.midi import app as midi
from vivant.cli.osc import app as osc
from vivant.cli.parameters import parameters
from vivant.cli.run import run
from vivant.cli.scenes import app as scenes
from vivant.cli.sound import app as sound
from vivant.cli.triggers import app as triggers

app = typer.Typer(
    name="vivant",
    help="A runtime for living images: sensors in, painted pictures out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(doctor)
app.command()(bench)
app.command()(parameters)
app.add_typer(scenes, name="scenes", help="The pieces that ship, and whether a scene file is right.")
app.add_typer(adapters, name="adapters", help="What a scene may wear, what was refused, and auditions.")
app.add_typer(body, name="body", help="What tracks people here, and what it sees.")
app.add_typer(sound, name="sound", help="What can be heard, what is heard, and music to rehearse with.")
app.add_typer(triggers, name="triggers", help="A scene's triggers, and what they would do in a week.")
app.add_typer(osc, name="osc", help="Record what is said over OSC, and say it again.")
app.add_typer(isf, name="isf", help="ISF shaders: check them, list them, look at them.")
app.add_typer(midi, name="midi", help="Controllers: what is there, what it sends, and maps of it.")
app.add_typer(engines, name="engines", help="Students and their engines: build, list, show, verify, bench.")
app.add_typer(guard, name="guard", help="Fit a guard, and see what the guards did.")
app.add_typer(distill, name="distill", help="From painters to a student: look at them, paint, train.")
