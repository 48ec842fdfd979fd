"""Starting the answering process, and waiting for it."""

from servewell.adapters.embedded.analysis.exchange import Order, QueryOrder, WorkFiles
from servewell.adapters.embedded.job.launch import Ending, Start, attend
from servewell.adapters.embedded.json_files import write
from servewell.adapters.embedded.processes import command_line
from servewell.ports.explainer import ExplainJob


def attended(
    files: WorkFiles,
    *,
    timeout_s: float,
    query: QueryOrder | None = None,
    explain: ExplainJob | None = None,
) -> Ending:
    """Have one of the two answered within so many seconds; return how the process ended."""

    def command(say: int, parent: int) -> list[str]:
        order = Order(progress_pipe=say, parent_pipe=parent, query=query, explain=explain)
        write(files.order, order)
        return command_line("analysis", files.folder)

    return attend(
        Start(
            command=command,
            folder=files.folder,
            log=files.log,
            pid=files.pid,
            timeout_s=timeout_s,
        ),
        progress=lambda _: None,
    )
