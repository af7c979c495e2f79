/* Phase 7: the network and where its weights come from. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "phases/phases.h"
#include "report/tables.h"

#define RULE "═══════════════════════════════════════════════════════════"

static const char *dense_text(const nn_layer *layer)
{
	static const char *const names[] = {
		[NN_LINEAR] = "", [NN_ACTIVATION_RELU] = ", ReLU", [NN_SOFTMAX] = ", Softmax"};
	return names[layer->activation];
}

static bm_status head(phase_context *c, bm_error *err)
{
	base_text text = {0};
	report_line lines[16];
	char names[16][96];
	size_t count = 0;
	json_t *list = json_array();
	const nn_graph *graph = &c->network.graph;
	for (int i = c->network.base_layers; i < graph->count && count < 16; i++, count++) {
		const nn_layer *layer = &graph->layers[i];
		if (layer->type == NN_DENSE)
			snprintf(names[count], sizeof names[count], "Dense(%d%s)", layer->units, dense_text(layer));
		else if (layer->type == NN_DROPOUT)
			snprintf(names[count], sizeof names[count], "Dropout(%g)", (double)layer->rate);
		else
			snprintf(names[count], sizeof names[count], "%s", nn_type_keras(layer->type));
		lines[count] = (report_line){names[count], NULL};
		json_array_append_new(list, json_string(names[count]));
	}
	base_text_add(&text, "\nBuilding custom classification head...\n");
	report_tree(&text, lines, count);
	phase_put(c, NULL, "head", list);
	phase_put_text(c, NULL, "head_name", run_config_head_name(c->config.head));
	return phase_print(c, &text, err);
}

static void shape_text(const nn_layer *layer, char *buffer, size_t size)
{
	if (layer->flat)
		snprintf(buffer, size, "(None, %d)", layer->channels);
	else
		snprintf(buffer, size, "(None, %d, %d, %d)", layer->height, layer->width, layer->channels);
}

static void layers_to_json(phase_context *c)
{
	json_t *list = json_array();
	for (int i = 0; i < c->network.graph.count; i++) {
		const nn_layer *layer = &c->network.graph.layers[i];
		int64_t parameters = 0;
		char shape[64];
		for (int w = 0; w < c->network.weights.count; w++)
			if (c->network.weights.items[w].layer == i)
				parameters += (int64_t)c->network.weights.items[w].count;
		shape_text(layer, shape, sizeof shape);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I}", "name", layer->name, "type",
						      nn_type_keras(layer->type), "output_shape", shape, "parameters",
						      (json_int_t)parameters));
	}
	phase_put(c, NULL, "layers", list);
}

static bm_status counts(phase_context *c, bm_error *err)
{
	base_text text = {0};
	int64_t total = 0, trainable = 0;
	char number[32], rest[32];
	json_t *stages = json_array();
	base_text_add(&text, "\nModel Summary:\n%s\n", RULE);
	for (int i = 0; i < c->config.plan.count; i++) {
		const train_stage *stage = &c->config.plan.stages[i];
		model_set_trainable(&c->network, stage->part, stage->last_layers);
		nn_weights_counts(&c->network.graph, &c->network.weights, &total, &trainable);
		json_array_append_new(stages, json_pack("{s:i, s:s, s:I, s:I}", "stage", stage->number, "title",
							stage->title, "trainable", (json_int_t)trainable,
							"non_trainable", (json_int_t)(total - trainable)));
		if (i == 0)
			base_text_add(&text, "Total params: %s\n", base_format_count(total, number));
		base_text_add(&text, "Trainable params: %s (Stage %d - %s)\n", base_format_count(trainable, number),
			      stage->number, stage->title);
		base_text_add(&text, "Non-trainable params: %s\n", base_format_count(total - trainable, rest));
	}
	base_text_add(&text, "%s\n", RULE);
	phase_put_int(c, NULL, "parameters", total);
	phase_put(c, NULL, "stages", stages);
	return phase_print(c, &text, err);
}

static bm_status weights(phase_context *c, bm_error *err)
{
	if (!c->config.weights) {
		phase_say(c, "✓ Pre-trained weights: none (random, seed %llu)", (unsigned long long)c->config.seed);
		phase_put_text(c, NULL, "weights", "none");
		if (!run_config_from_scratch(&c->config))
			base_warning(&c->observer,
				     "the base starts from random weights, and plan '%s' trains little of it: take "
				     "--plan scratch, or "
				     "weights that an earlier run left with --weights RUN/best_model_stage1.keras",
				     c->config.plan.name);
		return BM_OK;
	}
	bool head_taken = false;
	model_options theirs;
	bm_status status = model_peek(c->weights, &theirs, err);
	if (status == BM_OK)
		status = model_load_weights(&c->network, c->weights, &head_taken, err);
	if (status != BM_OK)
		return status;
	phase_say(c, "✓ Pre-trained weights: %s (%s)", c->config.weights,
		  head_taken ? "base and head" : "base; the head is new");
	const model_options *ours = &c->network.options;
	if (model_depth(&theirs) < model_depth(ours))
		phase_say(
			c,
			"✓ Deepened: from %d to %d layers, and computes what it did (new blocks begin as the identity)",
			model_depth(&theirs), model_depth(ours));
	if (theirs.width > 0 && theirs.width < ours->width)
		phase_say(c, "✓ Widened: from %g to %g of the filters, and computes what it did (Net2Net)",
			  theirs.width, ours->width);
	if (c->network.options.input.rescaled)
		phase_say(c, "✓ Input of the weights: %s; the first layer makes it of pixels from 0 to 1",
			  model_input_text(&c->network.options.input));
	phase_put_text(c, NULL, "weights", c->config.weights);
	phase_put_real(c, NULL, "width_of_the_weights", theirs.width);
	phase_put_int(c, NULL, "depth_of_the_weights", model_depth(&theirs));
	phase_put_text(c, NULL, "input_of_the_weights", model_input_text(&c->network.options.input));
	phase_put(c, NULL, "head_taken", json_boolean(head_taken));
	return BM_OK;
}

bm_status phase_model(phase_context *c, bm_error *err)
{
	base_text text = {0};
	model_free(&c->network);
	c->have_network = false;
	report_heading(&text, "PHASE 7: MODEL ARCHITECTURE");
	base_text_add(&text, "\nLoading %s base model...\n",
		      c->config.variant == MODEL_COMPACT ? "compact" : phase_network_name(c));
	bm_status status = phase_need_network(c, err);
	if (status != BM_OK) {
		base_text_free(&text);
		return status;
	}
	status = phase_print(c, &text, err);
	if (status == BM_OK)
		status = weights(c, err);
	if (status != BM_OK)
		return status;
	const model_options *o = &c->network.options;
	if (o->variant != MODEL_V1)
		phase_say(c, "✓ Network: %s", model_variant_text(o->variant));
	phase_put_text(c, NULL, "network", model_variant_text(o->variant));
	phase_say(c, "✓ Include top: False");
	phase_say(c, "✓ Input shape: (%d, %d, %d)", o->image_size, o->image_size, o->channels);
	if (o->width != 1)
		phase_say(c, "✓ Width: %g of %s filters", o->width,
			  c->config.variant == MODEL_COMPACT ? "the compact network's" : "ResNet-50's");
	if (model_depth(o) != model_variant_depth(o->variant))
		phase_say(c, "✓ Depth: %d layers with weights, of ResNet-50's 50", model_depth(o));
	phase_say(c, "✓ Layers: %d in the base, %d in all", c->network.base_layers, c->network.graph.count);
	phase_put(c, NULL, "input_shape", json_pack("[i,i,i]", o->image_size, o->image_size, o->channels));
	phase_put_real(c, NULL, "width", o->width);
	phase_put_int(c, NULL, "depth", model_depth(o));
	phase_put_int(c, NULL, "base_layers", c->network.base_layers);
	phase_put_int(c, NULL, "classes", o->classes);
	layers_to_json(c);
	status = head(c, err);
	if (status == BM_OK)
		status = counts(c, err);
	if (status == BM_OK && c->options.summary) {
		base_text_add(&text, "\n");
		model_summary(&c->network, &text);
		status = phase_print(c, &text, err);
	}
	if (status != BM_OK)
		return status;
	bool decay = c->config.plan.count > 0 && c->config.plan.stages[0].weight_decay > 0;
	phase_say(c, "%s", "");
	phase_say(c, "✓ Model compiled with %s optimizer", decay ? "AdamW" : "Adam");
	phase_say(c, "✓ Loss: Sparse Categorical Crossentropy");
	phase_say(c, "✓ Metrics: Accuracy");
	phase_put_text(c, NULL, "optimizer", decay ? "AdamW" : "Adam");
	return phase_note_made(c, "model", err);
}
