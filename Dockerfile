# The control plane, and the sample model server. Envoy has an image of its own: envoyproxy/envoy.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
COPY . /src
# A wheelhouse/ folder in the build context is installed from, and nothing else: for builds without a network.
RUN if [ -d /src/wheelhouse ]; then export PIP_NO_INDEX=1 PIP_FIND_LINKS=/src/wheelhouse; fi \
 && python3 -m venv --without-pip /opt/fairlead \
 && python3 -m pip --no-cache-dir --disable-pip-version-check --python /opt/fairlead/bin/python3 \
    install --constraint /src/constraints.txt /src

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/fairlead /opt/fairlead
# The development issuer's key and the last good state are kept here; a volume made for this folder starts with its owner and mode.
RUN install -d -m 700 -o 65532 -g 65532 /var/lib/fairlead
ENV PATH=/opt/fairlead/bin:$PATH PYTHONUNBUFFERED=1 FAIRLEAD_STATE=/var/lib/fairlead
USER 65532:65532
EXPOSE 18000 18001
ENTRYPOINT ["fairlead"]
CMD ["serve", "/etc/fairlead/policies", "--xds", "0.0.0.0:18000", "--admin", "0.0.0.0:18001"]
