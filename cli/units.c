/* See units.h. */
#include "cli/units.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

/* Three digits that count. */
static int decimals_of(double number)
{
    return number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
}

void units_duration(double seconds, char text[static UNITS_BYTES])
{
    double micros = seconds * 1e6;

    if (!(seconds >= 0) || isinf(seconds)) {
        (void)snprintf(text, UNITS_BYTES, "-");
    } else if (micros < 999.5) {
        (void)snprintf(text, UNITS_BYTES, "%.0fus", micros);
    } else if (micros < 999.5e3) {
        (void)snprintf(text, UNITS_BYTES, "%.*fms", decimals_of(micros / 1e3), micros / 1e3);
    } else {
        (void)snprintf(text, UNITS_BYTES, "%.*fs", decimals_of(seconds), seconds < 99999 ? seconds : 99999);
    }
}

void units_number(double number, char text[static UNITS_BYTES])
{
    static const struct {
        double one;
        const char *suffix;
    } units[] = {{1, ""}, {1e3, "k"}, {1e6, "M"}, {1e9, "G"}, {1e12, "T"}};
    size_t at = 0;

    if (!(number >= 0) || number >= 1e15) {
        (void)snprintf(text, UNITS_BYTES, "-");
        return;
    }
    while (at + 1 < sizeof units / sizeof units[0] && number >= 9999.5 * units[at].one / (at == 0 ? 1 : 10)) {
        at++;
    }
    double shown = number / units[at].one;
    bool is_whole = at == 0 && fabs(shown - round(shown)) < 1e-9;
    (void)snprintf(text, UNITS_BYTES, "%.*f%s", is_whole ? 0 : decimals_of(shown), shown, units[at].suffix);
}

void units_percent(double part, double whole, char text[static UNITS_BYTES])
{
    double percent = whole > 0 ? part * 100 / whole : 0;

    if (!(whole > 0)) {
        (void)snprintf(text, UNITS_BYTES, "-");
    } else if (!(percent > 0)) {
        (void)snprintf(text, UNITS_BYTES, "0");
    } else if (percent < 0.01) {
        (void)snprintf(text, UNITS_BYTES, "<0.01");
    } else if (percent >= 100) {
        (void)snprintf(text, UNITS_BYTES, "100");
    } else if (percent >= 99.95) {
        (void)snprintf(text, UNITS_BYTES, ">99.9");
    } else {
        (void)snprintf(text, UNITS_BYTES, "%.*f", percent < 9.995 ? 2 : 1, percent);
    }
}

void units_time_of_day(double unix_seconds, char text[static UNITS_BYTES])
{
    time_t second = (time_t)unix_seconds;
    struct tm parts;

    if (localtime_r(&second, &parts) == NULL || strftime(text, UNITS_BYTES, "%H:%M:%S", &parts) == 0) {
        (void)snprintf(text, UNITS_BYTES, "-");
    }
}
