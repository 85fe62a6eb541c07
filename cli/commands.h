/* The subcommands of `weft`. Each gets its own argv (argv[0] is its name) and returns the process's exit
 * code. */
#ifndef WEFT_CLI_COMMANDS_H
#define WEFT_CLI_COMMANDS_H

enum { EXIT_USAGE = 2 };

int cmd_emit(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_edges(int argc, char **argv);
int cmd_ledger(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_slow(int argc, char **argv);
int cmd_why(int argc, char **argv);
int cmd_heatmap(int argc, char **argv);
int cmd_tap(int argc, char **argv);
int cmd_config(int argc, char **argv);

#endif
