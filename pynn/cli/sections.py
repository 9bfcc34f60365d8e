"""Help texts that list many options in sections."""

from __future__ import annotations

import click

#: The options of each section by their parameters' names; those that none names go to the last section.
SECTIONS = {
    "Data": "source target task drop numeric categorical date header missing decimal thousands encoding augment",
    "Network": "model hidden layers width activation batchnorm dropout input_dropout",
    "Training": "loss optimizer lr weight_decay schedule epochs batch_size early_stopping class_weight folds",
    "Search": "metric trials stages sampler processes scheduler folder",
    "Output": "save plot report as_json quiet",
    "Other": "",
}
_LAST = list(SECTIONS)[-1]
_SECTION_OF = {name: title for title, names in SECTIONS.items() for name in names.split()}


class SectionedCommand(click.Command):
    """A command whose help lists its options in `SECTIONS`."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows: dict[str, list[tuple[str, str]]] = {title: [] for title in SECTIONS}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record is not None:
                rows[_SECTION_OF.get(option.name or "", _LAST)].append(record)
        for title, records in rows.items():
            if records:
                with formatter.section(f"{title} options"):
                    formatter.write_dl(records)
