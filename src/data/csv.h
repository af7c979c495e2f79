/* Comma-separated values as RFC 4180 has them; any text can be a field. */
#ifndef DATA_CSV_H
#define DATA_CSV_H

#include <stddef.h>

#include "base/text.h"

/* Adds one field, in quotes when it needs them. */
void data_csv_add(base_text *text, const char *field);

typedef struct data_csv {
	char *at, *end; /* *end is '\0' */
} data_csv;

/* The next row's fields, unquoted in place: they point into the text. Returns how many there are, at most `room`
 * of them stored; 0 at the end; -1 for broken quoting or a NUL byte. */
int data_csv_row(data_csv *csv, char **fields, int room);

#endif
