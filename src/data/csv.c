#include "data/csv.h"

#include <string.h>

void data_csv_add(base_text *text, const char *field)
{
	if (!strpbrk(field, ",\"\r\n")) {
		base_text_append(text, field, strlen(field));
		return;
	}
	base_text_append(text, "\"", 1);
	for (;;) {
		size_t plain = strcspn(field, "\"");
		base_text_append(text, field, plain);
		if (field[plain] == '\0')
			break;
		base_text_append(text, "\"\"", 2);
		field += plain + 1;
	}
	base_text_append(text, "\"", 1);
}

/* Reads a quoted field that starts at the quote; returns its end (behind the closing quote), NULL when there is
 * none. */
static char *unquote(char *at, const char *end)
{
	char *write = at;
	for (char *read = at + 1; read < end; read++) {
		if (*read != '"') {
			*write++ = *read;
		} else if (read + 1 < end && read[1] == '"') {
			*write++ = '"';
			read++;
		} else {
			*write = '\0'; /* write is at least one behind read */
			return read + 1;
		}
	}
	return NULL;
}

int data_csv_row(data_csv *csv, char **fields, int room)
{
	int count = 0;
	if (csv->at >= csv->end)
		return 0;
	for (;;) {
		char *field = csv->at, *stop;
		if (field < csv->end && *field == '"') {
			stop = unquote(field, csv->end);
			if (!stop || (stop < csv->end && !strchr(",\r\n", *stop)))
				return -1;
		} else {
			stop = field + strcspn(field, ",\r\n");
		}
		if (stop < csv->end && *stop == '\0')
			return -1;
		if (count < room)
			fields[count] = field;
		count++;
		if (stop >= csv->end) {
			csv->at = csv->end;
			return count;
		}
		char separator = *stop;
		*stop = '\0';
		csv->at = stop + 1;
		if (separator == ',')
			continue;
		if (separator == '\r') {
			if (csv->at >= csv->end || *csv->at != '\n')
				return -1;
			csv->at++;
		}
		return count;
	}
}
