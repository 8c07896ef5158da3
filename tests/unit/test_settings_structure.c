/* Complaints: what stands where, and how it is written. Each row: a file, and all that must be said
 * about it. */
#include "settings_cases.h"

static const struct settings_case cases[] = {
    /* structure: unknown and misplaced */
    {"zoone = x\n", "1: unknown option in the file (did you mean 'zone'?): 'zoone'\n"},
    {OPEN "failbak { }\n}\n",
     "4: unknown block in service (did you mean 'failback'?): 'failbak'\n"},
    {OPEN "xyz = 1\n}\n", "4: unknown option in service: 'xyz'\n"},
    {OPEN "fall = 3\n}\n", "4: belongs in the block health of service: 'fall'\n"},
    {"service a {\n match = { r }\n endpoint e {\n address = x\n breaker { }\n }\n}\n",
     "5: belongs in service, not in endpoint (is a '}' missing above?): 'breaker'\n"},
    {"x { x { x { y = 1 } } }\n", "1: unknown block in the file: 'x'\n"},
    {"include(\"/etc/passwd\")\n", "1: text with a '(' needs quotes: 'include('\n"},
    {"Zone = a\n", "1: unknown option in the file (did you mean 'zone'?): 'Zone'\n"},
    {"weight = 1\n", "1: unknown option in the file: 'weight'\n"},
    /* structure: repeated */
    {OPEN "match = { x }\n}\n", "4: given twice (first on line 2): 'match'\n"},
    {"monitor = auto\nzone = a\nmonitor = auto\n", "3: given twice (first on line 1): 'monitor'\n"},
    {OPEN "retry { }\n# a\n/* b\n */\nretry { }\n}\n",
     "8: given twice (first on line 4): 'retry'\n"},
    {OPEN "endpoint e { address = x }\n}\n",
     "4: endpoint of the same name (first on line 3): 'e'\n"},
    {"service a { match = { r } endpoint e { address = x } }\nservice 'a' { }\n",
     "2: service of the same name (first on line 1): 'a'\n"},
    {OPEN "health { rise = 3 rise = 3 }\n}\n", "4: given twice (first on line 4): 'rise'\n"},
    /* structure: unfinished */
    {"service a {\n match = { r }\n", "1: the block is not closed by '}': 'service a'\n"},
    {OPEN "endpoint w {\n address = x\n", "1: the block is not closed by '}': 'service a'\n"
                                          "4: the block is not closed by '}': 'endpoint w'\n"},
    {"/* zone = a\n\n", "1: the comment is never closed: '/*'\n"},
    {OPEN "}\n}\n", "5: no block is open here: '}'\n"},
    {"service a {\n match = { r,\n mode = steer\n endpoint e { address = x }\n}\n",
     "2: the list is not closed by '}': 'match'\n"},
    {"service a {\n match = { r, s\n endpoint e { address = x }\n}\n",
     "2: the list is not closed by '}': 'match'\n"},
    {"zone = \"a\nmonitor = auto\n", "1: the string is not closed on its line: '\"'\n"},
    {"zone = 'a\\\nb'\n", "1: the string is not closed on its line: '''\n"
                          "2: the string is not closed on its line: '''\n"
                          "2: unknown option in the file: 'b'\n"},
    {"zone =\n", "1: no value is given: 'zone'\n"},
    {"zone = \n\n\nmonitor = auto\n", "1: no value is given: 'zone'\n"},
    {"service a", "1: a '{' is missing after it: 'service'\n"},
    {"service a {{", "1: the name of an option or block is expected: '{'\n"
                     "1: the block is not closed by '}': 'service a'\n"},
    {"{ a }\n", "1: the name of an option or block is expected: '{'\n"},
    {"= 3\n", "1: the name of an option or block is expected: '='\n"},
    {"zone a\n", "1: a '=' is missing after it: 'zone'\n"},
    {"programs\n", "1: a '{' is missing after it: 'programs'\n"},
    {"zone = a b\n", "1: unknown option in the file: 'b'\n"},
    {"programs { only = { a b } }\n", "1: a ',' is missing before this entry of only: 'b'\n"},
    {"programs { only = { a,\n b\n c } }\n",
     "3: a ',' is missing before this entry of only: 'c'\n"},
    {"programs { only = { , } }\n", "1: an entry is missing before a ',': 'only'\n"},
    {"zone = { a }\n", "1: takes one value, not a list: 'zone'\n"},
    {"log = warn\n", "1: this is a block, written log { ... }: 'log'\n"},
    {"log warn { }\n", "1: log takes no name: 'warn'\n"},
    {"service { }\n", "1: the block needs a name, as in service NAME { ... }: 'service'\n"},
    {"zone { }\n", "1: a '=' is missing after it: 'zone'\n"},
    /* text */
    {"zone = \"${HOME}\"\n",
     "1: the environment is not read here (single quotes keep the text as it is): '${'\n"},
    {"zone = ${HOME}\n",
     "1: the environment is not read here (single quotes keep the text as it is): '${'\n"},
    {"zone = \"a\\x41\"\n",
     "1: no such escape in double quotes (single quotes keep the text as it is): '\\x'\n"},
    {"zone = \"\\101\"\n",
     "1: no such escape in double quotes (single quotes keep the text as it is): '\\1'\n"},
    {"service a { match = { r:* } endpoint e { address = x } }\n",
     "1: text with a '*' needs quotes: 'r:*'\n"},
    {"programs { only = { a+b } }\n", "1: text with a '+' needs quotes: 'a+b'\n"},
    {"programs { only += { a } }\n", "1: a list is given as a whole, with '=': '+='\n"},
    {"zone = a(b)\n", "1: text with a '(' needs quotes: 'a(b)'\n"},
    {"zone = a\001b\n", "1: a control character: 'a?b'\n"},
    {"zone = \"a\001b\"\n", "1: a control character in a string\n"},
    {"zone = a\rmonitor = auto\n", "1: a control character: '?'\n"},
    {"zone = \303\244\n",
     "1: zone must be 1 to 47 letters, digits, '.', '-' or '_', or empty: '\303\244'\n"},
    /* several at once, lines exact */
    {"# one\n// two\n/* three\nfour */ zone = 'a b'\nprograms { only = {\n a, # comment, in } a "
     "list\n b/c /* another\n */ ,\n d/e } }\nlog { level = x }\r\n\tmonitr = auto\n",
     "4: zone must be 1 to 47 letters, digits, '.', '-' or '_', or empty: 'a b'\n"
     "7: programs.only takes names of programs, without their directory: 'b/c'\n"
     "9: programs.only takes names of programs, without their directory: 'd/e'\n"
     "10: log.level must be off, error, warn, info or debug: 'x'\n"
     "11: unknown option in the file (did you mean 'monitor'?): 'monitr'\n"},
};

START_TEST(complaints_about_structure_and_text)
{
    settings_case_check(&cases[_i]);
}
END_TEST

int main(void)
{
    return settings_cases_run("settings_structure", complaints_about_structure_and_text,
                              COUNT_OF(cases));
}
