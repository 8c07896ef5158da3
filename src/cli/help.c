#include "cli/cli.h"

#include <stdio.h>

static void common_options(void)
{
    puts("  -c, --config FILE  the configuration file (also $REDISTEER_CONFIG)\n"
         "  --instance NAME    the instance, when FILE alone does not tell (also\n"
         "                     $REDISTEER_INSTANCE)\n"
         "  -h, --help         this text");
}

void help_program(void)
{
    puts("Usage: redisteer [OPTION...] COMMAND [ARGUMENT...]\n"
         "\n"
         "Redis failover for programs that nobody can change.\n"
         "\n"
         "Commands:");
    for (const struct command *command = commands; command->name != NULL; command++)
        if (!command->hidden)
            printf("  %-9s %s\n", command->name, command->summary);
    puts("\n"
         "Options, before or after the command:");
    common_options();
    puts("  --version          print the version\n"
         "\n"
         "`redisteer COMMAND --help` tells more; so does the manual page redisteer(1).");
}

void help_command(const struct command *command)
{
    printf("Usage: redisteer %s [OPTION...]%s%s\n\n", command->name,
           command->arguments[0] == '\0' ? "" : " ", command->arguments);
    printf("redisteer %s: %s.\n\nOptions:\n", command->name, command->summary);
    for (const struct command_option *option = command->options;
         option != NULL && option->name != NULL; option++) {
        char left[32];

        snprintf(left, sizeof left, "--%s%s%s", option->name, option->value == NULL ? "" : " ",
                 option->value == NULL ? "" : option->value);
        printf("  %-17s  %s\n", left, option->summary);
    }
    common_options();
}
