/* Phase 5: how many images each class has, and the weights that balance them. */
#include <stdio.h>

#include "phases/phases.h"
#include "report/figures.h"
#include "report/tables.h"

bm_status phase_classes(phase_context *c, bm_error *err)
{
	base_text text = {0};
	size_t counts[DATA_CLASSES_MAX];
	float weights[DATA_CLASSES_MAX];
	json_t *by_class = json_object(), *percents = json_object(), *balance = json_object();
	bm_status status = phase_need_set(c, err);
	phase_put(c, NULL, "counts", by_class);
	phase_put(c, NULL, "percents", percents);
	phase_put(c, NULL, "class_weights", balance);
	if (status != BM_OK)
		return status;
	const char *const *names = (const char *const *)c->set.class_names;
	data_set_counts(&c->set, counts);
	data_class_weights(counts, c->set.class_count, weights);
	for (int k = 0; k < c->set.class_count; k++) {
		phase_put_int(c, by_class, names[k], (long long)counts[k]);
		phase_put_real(c, percents, names[k], 100.0 * (double)counts[k] / (double)c->set.count);
		phase_put_real(c, balance, names[k], (double)weights[k]);
	}
	phase_put_int(c, NULL, "images", (long long)c->set.count);

	report_heading(&text, "PHASE 5: CLASS DISTRIBUTION ANALYSIS");
	base_text_add(&text, "\n");
	report_class_table(&text, names, counts, c->set.class_count);
	base_text_add(&text, "\nClass Weights (for balanced training):\n{");
	for (int k = 0; k < c->set.class_count; k++)
		base_text_add(&text, "%s%d: %.2f", k ? ", " : "", k, (double)weights[k]);
	base_text_add(&text, "}\n");
	status = phase_print(c, &text, err);
	if (status != BM_OK || !c->folder)
		return status;
	status = report_figure_classes(c->figures, names, counts, c->set.class_count, err);
	return phase_figure(c, status, "class_distribution", err);
}
