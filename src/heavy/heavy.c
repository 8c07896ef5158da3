#include "heavy/heavy.h"

#include <signal.h>

#if REDISTEER_TLS
#include "heavy/tls.h"
#endif

void heavy_begin(void)
{
    signal(SIGPIPE, SIG_IGN);
#if REDISTEER_TLS
    stream_tls = &tls_driver;
#endif
}
