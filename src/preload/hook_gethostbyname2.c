/* gethostbyname2: gethostbyname for a family of one's choice. */
#include <netdb.h>
#include <stddef.h>

#include "preload/hook.h"
#include "preload/lookup.h"
#include "preload/real.h"

EXPORT struct hostent *gethostbyname2(const char *name, int family)
{
    struct lookup lookup;

    if (!real_gethostbyname2())
        return NULL;
    if (name && (family == AF_INET || family == AF_INET6) &&
        lookup_name(name, 0, family == AF_INET ? LOOKUP_V4 : LOOKUP_V6, true, &lookup)) {
        struct hostent *answer = real_gethostbyname2()(lookup.text, family);

        if (answer) {
            lookup_given(&lookup);
            return answer;
        }
    }
    return real_gethostbyname2()(name, family);
}
