/* redisteer: the program. Finds the command, parses options, dispatches. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

enum { OPTION_INSTANCE = 256, OPTION_VERSION, OPTION_OWN };

static const struct option common[] = {
    {"config", required_argument, NULL, 'c'},
    {"instance", required_argument, NULL, OPTION_INSTANCE},
    {"help", no_argument, NULL, 'h'},
};
enum { COMMON = sizeof common / sizeof *common };

void say(const char *format, ...)
{
    va_list arguments;

    fputs("redisteer: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

/*
 * A program may start us with 0, 1 or 2 closed: what is opened next would be written to as stdout.
 * Closed again on exec, so `run` passes on exactly what it was given.
 */
static void hold_standard_descriptors(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

static int wrong_option(int what, char **argv)
{
    char letter[3] = {'-', (char)optopt, '\0'};
    const char *text = optopt > 0 && optopt < OPTION_INSTANCE ? letter : argv[optind - 1];

    if (what == ':')
        say("this option needs a value: '%s'", text);
    else if (optopt >= OPTION_INSTANCE)
        say("this option takes no value: '%s'", text);
    else
        say("unknown option: '%s'", text);
    return STATUS_USAGE;
}

/* The options between `redisteer` and the command word. -1: go on at argv[optind]. */
static int parse_front(int argc, char **argv, struct invocation *invocation)
{
    struct option options[COMMON + 2] = {0};
    int what;

    memcpy(options, common, sizeof common);
    options[COMMON] = (struct option){"version", no_argument, NULL, OPTION_VERSION};
    opterr = 0;
    while ((what = getopt_long(argc, argv, "+:c:h", options, NULL)) != -1) {
        switch (what) {
        case 'c':
            invocation->config = optarg;
            break;
        case OPTION_INSTANCE:
            invocation->instance = optarg;
            break;
        case 'h':
            help_program();
            return STATUS_DONE;
        case OPTION_VERSION:
            puts("redisteer " REDISTEER_VERSION);
            return STATUS_DONE;
        default:
            return wrong_option(what, argv);
        }
    }
    return -1;
}

/* The options and operands behind the command word, which is argv[0]. -1: all is well. */
static int parse_command(int argc, char **argv, struct invocation *invocation)
{
    const struct command *command = invocation->command;
    struct option options[COMMON + OPTIONS_MAX + 1] = {0};
    size_t count = COMMON;
    int what;

    memcpy(options, common, sizeof common);
    for (const struct command_option *own = command->options; own != NULL && own->name != NULL;
         own++, count++)
        options[count] =
            (struct option){own->name, own->value == NULL ? no_argument : required_argument, NULL,
                            OPTION_OWN + (int)(own - command->options)};
    optind = 0; /* glibc: start anew, "+" included */
    while ((what = getopt_long(argc, argv, command->most == OPERANDS_ANY ? "+:c:h" : ":c:h",
                               options, NULL)) != -1) {
        switch (what) {
        case 'c':
            invocation->config = optarg;
            break;
        case OPTION_INSTANCE:
            invocation->instance = optarg;
            break;
        case 'h':
            help_command(command);
            return STATUS_DONE;
        case '?':
        case ':':
            return wrong_option(what, argv);
        default:
            invocation->given[what - OPTION_OWN] = optarg == NULL ? "" : optarg;
        }
    }
    invocation->count = argc - optind;
    invocation->operands = argv + optind;
    if (invocation->count < command->least) {
        say("%s needs %s", command->name, command->arguments);
        return STATUS_USAGE;
    }
    if (command->most != OPERANDS_ANY && invocation->count > command->most) {
        say("one argument too many: '%s'", invocation->operands[command->most]);
        return STATUS_USAGE;
    }
    return -1;
}

static int dispatch(int argc, char **argv)
{
    struct invocation invocation = {0};
    const char *nearest;
    int status = parse_front(argc, argv, &invocation);

    if (status >= 0)
        return status;
    if (optind == argc) {
        help_program();
        return STATUS_DONE;
    }
    argc -= optind;
    argv += optind;
    invocation.command = command_find(argv[0]);
    if (invocation.command == NULL) {
        nearest = command_nearest(argv[0]);
        if (nearest != NULL)
            say("unknown command: '%s'; did you mean '%s'?", argv[0], nearest);
        else
            say("unknown command: '%s'; `redisteer --help` lists them", argv[0]);
        return STATUS_USAGE;
    }
    status = parse_command(argc, argv, &invocation);
    return status >= 0 ? status : invocation.command->function(&invocation);
}

int main(int argc, char **argv)
{
    int status;

    hold_standard_descriptors();
    status = dispatch(argc, argv);
    /* A full disk behind stdout is a failure, and shows at the latest now. */
    errno = EIO;
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == STATUS_DONE) {
        say("cannot write the output: %s", strerror(errno));
        status = STATUS_FAILED;
    }
    return status;
}
