"""The parts of which the dashboards are made: PromQL for what weft exposes, panels, variables, and their places on the
grid. Grafana's schema 39 (Grafana 10.4 and later)."""

import json

SCHEMA_VERSION = 39
COLUMNS = 24
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
JAEGER = {"type": "jaeger", "uid": "${jaeger}"}
DURATION = "mesh_request_duration_seconds"
FAILED = 'outcome=~"server_error|no_response"'
RATE = "[$__rate_interval]"
NO_VALUE = "-"

GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
OUTCOME_COLOURS = {
    "ok": GREEN,
    "client_error": YELLOW,
    "server_error": RED,
    "no_response": "dark-red",
    "cancelled": "purple",
}


# ---- PromQL ----


def joined(*selectors):
    return ",".join(each for each in selectors if each)


def by_clause(by):
    return f" by ({by}) " if by else ""


def total(metric, selector="", by="", window=RATE):
    """The rate of a counter, summed."""
    matchers = f"{{{selector}}}" if selector else ""
    return f"sum{by_clause(by)}(rate({metric}{matchers}{window}))"


def requests(selector, by=""):
    """Requests a second, from the counts of durations: those begin at 0 for every outcome. Prometheus keeps either the
    classic histogram or the native one, or both, and then the first is as good."""
    classic = total(f"{DURATION}_count", selector, by)
    native = f"sum{by_clause(by)}(histogram_count(rate({DURATION}{{{selector}}}{RATE})))"
    return f"({classic} or {native})"


def failed_share(selector, by=""):
    return f"{requests(joined(selector, FAILED), by)} / {requests(selector, by)}"


def quantile(q, selector, by="", metric=DURATION):
    """From the native histogram, which is the finer one, or else from the classic buckets."""
    native = total(metric, selector, by)
    classic = total(f"{metric}_bucket", selector, joined(by, "le"))
    return f"histogram_quantile({q}, {native}) or histogram_quantile({q}, {classic})"


def mean(metric, selector, by=""):
    classic = f"{total(f'{metric}_sum', selector, by)} / {total(f'{metric}_count', selector, by)}"
    native = total(metric, selector, by)
    return f"({classic}) or (histogram_sum({native}) / histogram_count({native}))"


def attempts_over_requests(selector, by):
    """Where attempts can be told, on the pairs of services that tell them."""
    pair = joined(by, "source, source_namespace, destination, destination_namespace")
    attempts = total("mesh_request_attempts_total", selector, pair)
    return f"sum{by_clause(by)}({attempts}) / sum{by_clause(by)}({requests(selector, pair)} and {attempts})"


def retried_share(selector, by=""):
    return f"clamp_min({attempts_over_requests(selector, by)} - 1, 0)"


# ---- queries of panels ----


def query(expression, legend="", **keys):
    return {
        "datasource": PROMETHEUS,
        "editorMode": "code",
        "expr": expression,
        "legendFormat": legend or "__auto",
        "range": True,
        "instant": False,
        "format": "time_series",
        **keys,
    }


def row_query(expression):
    """A column of a table."""
    return query(expression, range=False, instant=True, format="table")


def quantiles(selector, metric=DURATION, exemplars=False, legend="p{}"):
    made = []
    for q in (0.5, 0.9, 0.99, 0.999):
        name = legend.format(f"{q * 100:g}")
        # The first asks for exemplars; they are the same for all.
        made.append(query(quantile(q, selector, metric=metric), name, exemplar=exemplars and not made))
    return made


def traces(service, **arguments):
    """A search of the agents' Jaeger API."""
    return {"datasource": JAEGER, "queryType": "search", "service": service, "limit": 20, **arguments}


# ---- panels ----


def thresholds(*steps):
    first, *others = steps
    return {
        "mode": "absolute",
        "steps": [{"color": first, "value": None}, *({"color": colour, "value": value} for value, colour in others)],
    }


def panel(kind, title, description, queries, width, defaults, options, **keys):
    for at, each in enumerate(queries):
        each["refId"] = chr(ord("A") + at)
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": queries[0]["datasource"],
        "targets": queries,
        "width": width,
        "fieldConfig": {"defaults": {"noValue": NO_VALUE, **defaults}, "overrides": keys.pop("overrides", [])},
        "options": options,
        **keys,
    }


def override(name, **properties):
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()],
    }


def outcome_overrides():
    return [
        override(name, color={"mode": "fixed", "fixedColor": colour}) for name, colour in OUTCOME_COLOURS.items()
    ]


def stat(title, description, expression, unit, width=4, steps=(BLUE,), decimals=None):
    defaults = {"unit": unit, "color": {"mode": "thresholds"}, "thresholds": thresholds(*steps)}
    if decimals is not None:
        defaults["decimals"] = decimals
    options = {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel("stat", title, description, [query(expression)], width, defaults, options, height=4)


def lines(title, description, queries, unit, width=12, stacked=False, most=None, links=(), **keys):
    """A graph over time."""
    custom = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 40 if stacked else 8,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    defaults = {"unit": unit, "min": 0, "color": {"mode": "palette-classic"}, "custom": custom, "links": list(links)}
    if most is not None:
        defaults["max"] = most
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["mean", "lastNotNull"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    queries = queries if isinstance(queries, list) else [queries]
    return panel("timeseries", title, description, queries, width, defaults, options, height=9, **keys)


def heatmap(title, description, one_query, width=12):
    options = {
        "calculate": False,
        "cellGap": 0,
        "color": {
            "mode": "scheme", "scheme": "Turbo", "scale": "exponential", "exponent": 0.5, "steps": 64,
            "fill": "dark-orange", "reverse": False,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "showColorScale": True, "yHistogram": True},
        "yAxis": {"axisPlacement": "left", "unit": "s"},
    }
    return panel("heatmap", title, description, [one_query], width, {}, options, height=9)


def table(title, description, columns, width=24, names=(), link=None, sort=None, height=10):
    """columns: (header, unit, expression); the expressions' labels are the rows' keys, shown under `names`."""
    queries = [row_query(expression) for _, _, expression in columns]
    renames, overrides = dict(names), []
    for at, (header, unit, _) in enumerate(columns):
        value = "Value" if len(columns) == 1 else f"Value #{chr(ord('A') + at)}"
        renames[value] = header
        if unit == "percentunit":
            cell = {"custom__cellOptions": {"type": "color-text"}, "max": 1}
            cell["thresholds"] = thresholds(GREEN, (0.01, YELLOW), (0.05, RED))
            overrides.append(override(header, unit=unit, **cell))
        else:
            overrides.append(override(header, unit=unit))
    if link:
        overrides += [override(header, links=[link]) for header in dict(names).values()]
    transformations = [{"id": "merge", "options": {}}] if len(columns) > 1 else []
    transformations.append(
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": renames}}
    )
    options = {"cellHeight": "sm", "showHeader": True, "footer": {"show": False, "reducer": ["sum"]}}
    if sort:
        options["sortBy"] = [{"displayName": sort, "desc": True}]
    defaults = {"custom": {"align": "auto", "filterable": True}, "decimals": 2}
    return panel(
        "table", title, description, queries, width, defaults, options, height=height,
        transformations=transformations, overrides=overrides,
    )


def trace_table(title, description, one_query, width=12):
    options = {"cellHeight": "sm", "showHeader": True, "footer": {"show": False, "reducer": ["sum"]}}
    return panel("table", title, description, [one_query], width, {"custom": {"align": "auto"}}, options, height=9)


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "width": COLUMNS, "height": 1}


# ---- variables ----


def datasource_variable(name, label, kind):
    return {"name": name, "label": label, "type": "datasource", "query": kind, "hide": 0, "refresh": 1}


def reporter_variable():
    """Sums are over one reporter: both ends of a call may tell of it."""
    values = ["source", "destination", "waypoint"]
    return {
        "name": "reporter",
        "label": "Told by",
        "description": "Whose proxies tell of a request: the caller's (source), the service's own (destination), or those between.",
        "type": "custom",
        "query": ",".join(values),
        "current": {"selected": True, "text": values[0], "value": values[0]},
        "options": [{"selected": each == values[0], "text": each, "value": each} for each in values],
        "hide": 0,
        "includeAll": False,
        "multi": False,
    }


def label_variable(name, label, metric, value, several=False, description=""):
    """The values of a label; `several`: any number of them, all by default, those without the label too."""
    text = f"label_values({metric}, {value})"
    made = {
        "name": name,
        "label": label,
        "description": description,
        "type": "query",
        "datasource": PROMETHEUS,
        "definition": text,
        "query": {"query": text, "refId": f"variable-{name}"},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "includeAll": several,
        "multi": several,
    }
    if several:
        made |= {"allValue": ".*", "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}
    return made


# ---- the whole ----


def placed(panels):
    """The panels with their numbers and places: from left to right, a new line when the width is used up."""
    made, left, top, bottom = [], 0, 0, 0
    for number, each in enumerate(panels, 1):
        each = dict(each)
        width, height = each.pop("width"), each.pop("height")
        if left + width > COLUMNS:
            left, top = 0, bottom
        made.append({"id": number, **each, "gridPos": {"x": left, "y": top, "w": width, "h": height}})
        left, bottom = left + width, max(bottom, top + height)
        if left == COLUMNS:
            left, top = 0, bottom
    return made


def dashboard(uid, title, description, variables, panels):
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["weft", "service-mesh"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "timepicker": {},
        "fiscalYearStartMonth": 0,
        "weekStart": "",
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "title": "weft",
                "tags": ["weft"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "icon": "external link",
                "tooltip": "",
                "url": "",
            }
        ],
        "templating": {"list": variables},
        "panels": placed(panels),
    }


def text_of(board):
    return json.dumps(board, indent=2, ensure_ascii=False) + "\n"
