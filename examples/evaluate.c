/* Tests a model on images that it has not seen: evaluate MODEL DATA, where DATA has a folder of images for each class.
 *   cc evaluate.c $(pkg-config --cflags --libs brainmri) -o evaluate */
#include <brainmri/brainmri.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct tally {
	int right, count, unreadable;
} tally;

/* Classifies every file of a folder, whose images are all of class `actual`. */
static tally test_folder(bm_model *model, const char *folder, int actual, float *probabilities)
{
	tally t = {0, 0, 0};
	struct dirent *entry;
	DIR *list = opendir(folder);
	while (list && (entry = readdir(list))) {
		char path[4096];
		bm_error err;
		int best = 0;
		if (entry->d_name[0] == '.' ||
		    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path)
			continue;
		if (bm_model_classify_file(model, path, probabilities, &err) != BM_OK) {
			fprintf(stderr, "%s\n", err.message);
			t.unreadable++;
			continue;
		}
		for (int k = 1; k < bm_model_class_count(model); k++)
			if (probabilities[k] > probabilities[best])
				best = k;
		t.count++;
		t.right += best == actual;
	}
	if (list)
		closedir(list);
	else
		fprintf(stderr, "cannot list '%s'\n", folder);
	return t;
}

int main(int argc, char **argv)
{
	bm_model *model;
	bm_error err;
	tally all = {0, 0, 0};
	if (argc != 3) {
		fprintf(stderr, "usage: evaluate MODEL DATA\n");
		return 2;
	}
	if (bm_model_open(argv[1], 0, &model, &err) != BM_OK) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	float *probabilities = calloc((size_t)bm_model_class_count(model), sizeof *probabilities);
	for (int k = 0; probabilities && k < bm_model_class_count(model); k++) {
		char folder[4096];
		snprintf(folder, sizeof folder, "%s/%s", argv[2], bm_model_class_name(model, k));
		tally t = test_folder(model, folder, k, probabilities);
		printf("%-16s %d of %d right\n", bm_model_class_name(model, k), t.right, t.count);
		all = (tally){all.right + t.right, all.count + t.count, all.unreadable + t.unreadable};
	}
	if (all.count > 0)
		printf("accuracy         %.4f (%d of %d)\n", (double)all.right / all.count, all.right, all.count);
	free(probabilities);
	bm_model_close(model);
	return all.count == 0 || all.unreadable > 0;
}
