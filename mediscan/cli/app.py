"""The command line's root: options that all commands share, and every error as one line and an exit status."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mediscan import audit, keys, webhooks
from mediscan.cli import batch, console, dead, deliveries, doctor, exits, follow, jobs, models, top
from mediscan.cli.connect import Options
from mediscan.version import __version__


class OneLineErrors(TyperGroup):
    """Turns what we can explain into one line on standard error and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            console.say("mediscan: stopped")
            raise typer.Exit(130) from None
        except Exception as error:
            if (explained := exits.explain(error)) is None:
                raise
            said, status = explained
            console.say(f"mediscan: {said}")
            raise typer.Exit(status) from None


app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    # A traceback with local variables could show a secret.
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="MediScan from the command line: submit images, follow jobs, read results.",
    epilog="Exit status: 0 done, 1 a job failed, 2 usage, 3 unreachable, 4 refused, 5 not over in time.",
)


def _version(wanted: bool) -> None:
    if wanted:
        console.out(f"mediscan {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    url: Annotated[
        str | None, typer.Option(envvar="MEDISCAN_URL", help="The server. Default: http://127.0.0.1:8000")
    ] = None,
    retry_for: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long to try again while the server is away.")
    ] = 10,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take what all commands share. The API key comes from MEDISCAN_API_KEY: a command line is seen by others."""
    ctx.obj = Options(url, retry_for)


jobs.add(app)
follow.add(app)
batch.add(app)
models.add(app)
deliveries.add(app)
top.add(app)
app.add_typer(dead.app, name="dead")
doctor.add(app)
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(webhooks.app, name="webhooks")
