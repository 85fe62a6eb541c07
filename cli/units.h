/* Figures in few columns, the same in every table. */
#ifndef WEFT_CLI_UNITS_H
#define WEFT_CLI_UNITS_H

enum { UNITS_BYTES = 24 };

/* At most six columns: "999us" "9.99ms" "99.9ms" "999ms" "9.99s" "999s" "59999s". */
void units_duration(double seconds, char text[static UNITS_BYTES]);

/* At most six: "0" "0.25" "99.9" "999" "12.3k" "1.5M" "200G". A number that is none is "-". */
void units_number(double number, char text[static UNITS_BYTES]);

/* `part` of `whole` in percent, at most five columns: "0" "0.01" "9.9" "100"; what is not 0 is not shown as
 * 0, and less than all not as 100. "-" of nothing. */
void units_percent(double part, double whole, char text[static UNITS_BYTES]);

/* Wall-clock time of day, "18:05:59", local. */
void units_time_of_day(double unix_seconds, char text[static UNITS_BYTES]);

#endif
