#include "probe/kind.h"

/* Each check is a connection of its own: the question is whether one is accepted now. */
const struct kind kind_tcp = {0};
