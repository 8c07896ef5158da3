/*
 * context: which configuration and which segment a command works on. Every function prints its own
 * messages and returns an enum status, so a command just passes on what is not STATUS_DONE.
 */
#ifndef CLI_CONTEXT_H
#define CLI_CONTEXT_H

#include "cli/cli.h"
#include "cli/overview.h"
#include "settings/settings.h"
#include "state/place.h"
#include "state/segment.h"

struct context {
    char config[PATH_TEXT]; /* absolute */
    struct place place;
};

/* --config and --instance, else the environment. Nothing needs to exist yet. */
int context_config(const struct invocation *invocation, char config[static PATH_TEXT]);
int context_find(const struct invocation *invocation, struct context *context);
/* The same, making the runtime directory where it is missing: for those who publish. */
int context_make(const struct invocation *invocation, struct context *context);

/* Fills `context` and prints nothing: false when nothing is published yet. */
bool context_is_there(const struct invocation *invocation, struct context *context);

/* The segment, which must be there. Ends with segment_detach(). */
int context_attach(const struct context *context, struct segment *segment);

/* The segment and what it says now. The overview points into the segment: both end together. */
struct published {
    struct segment segment;
    struct overview *overview;
};
int context_open(const struct context *context, struct published *published);
void context_close(struct published *published);

/* The file, understood, or its complaints on stderr. Ends with settings_free(). */
int context_load(const char *config, struct settings **settings);
/* "file:line: text" on stderr, one a line. */
void context_complain(const char *config, const struct complaints *complaints);

int context_publish(const struct context *context, const struct settings *settings,
                    uint64_t patience_ns, enum publish_result *result);

/* True when what is published was read from this very state of the file. */
bool context_published(const struct context *context, const struct file_stamp *stamp);

#endif
