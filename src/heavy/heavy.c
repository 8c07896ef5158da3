#include "heavy/heavy.h"

#include <signal.h>
#include <stdbool.h>

#include "heavy/job.h"
#if REDISTEER_TLS
#include "heavy/tls.h"
#endif
#if REDISTEER_HTTP
#include <curl/curl.h>
#endif

void heavy_begin(void)
{
    static bool begun;

    if (begun)
        return;
    begun = true;
    signal(SIGPIPE, SIG_IGN);
#if REDISTEER_TLS
    stream_tls = &tls_driver;
#endif
#if REDISTEER_HTTP
    curl_global_init(CURL_GLOBAL_DEFAULT);
#endif
    probe_workers = &job_driver;
}
