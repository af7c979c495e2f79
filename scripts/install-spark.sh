#!/bin/sh
# Called by `meson install`: the Spark job's jar goes beside the worker when `make spark` has made it. usage: install-spark.sh FOLDER
set -eu
jar=$MESON_BUILD_ROOT/spark/brainmri-spark.jar
[ -f "$jar" ] || exit 0
install -d "$MESON_INSTALL_DESTDIR_PREFIX/$1"
install -m 644 "$jar" "$MESON_INSTALL_DESTDIR_PREFIX/$1/brainmri-spark.jar"
