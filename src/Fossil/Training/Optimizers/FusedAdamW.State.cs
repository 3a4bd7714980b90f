using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Training;

public sealed partial class FusedAdamW
{
    /// <summary>The settings of one group; libtorch's schedulers see only the learning rate.</summary>
    private sealed class Options : OptimizerOptions
    {
        public double Beta1 { get; set; }

        public double Beta2 { get; set; }

        public double Epsilon { get; set; }

        public double WeightDecay { get; set; }

        public override void SaveStateDict(BinaryWriter writer)
        {
            base.SaveStateDict(writer);
            writer.Write(Beta1);
            writer.Write(Beta2);
            writer.Write(Epsilon);
            writer.Write(WeightDecay);
        }

        public override void LoadStateDict(BinaryReader reader)
        {
            base.LoadStateDict(reader);
            Beta1 = reader.ReadDouble();
            Beta2 = reader.ReadDouble();
            Epsilon = reader.ReadDouble();
            WeightDecay = reader.ReadDouble();
        }

        public override void LoadStateDict(OptimizerOptions source)
        {
            base.LoadStateDict(source);
            var options = (Options)source;
            Beta1 = options.Beta1;
            Beta2 = options.Beta2;
            Epsilon = options.Epsilon;
            WeightDecay = options.WeightDecay;
        }
    }

    /// <summary>Both moments of one parameter, with its dtype and device; outside any dispose scope.</summary>
    private sealed class State(Parameter parameter) : OptimizerState(parameter), IDisposable
    {
        public long Step { get; set; }

        public Tensor FirstMoment { get; private set; } = Zeros(parameter);

        public Tensor SecondMoment { get; private set; } = Zeros(parameter);

        public override void Initialize(OptimizerOptions options)
        {
            using var withoutGradient = no_grad();
            Step = 0;
            FirstMoment.zero_();
            SecondMoment.zero_();
        }

        public override void to(Device device)
        {
            FirstMoment = Move(FirstMoment, device);
            SecondMoment = Move(SecondMoment, device);
        }

        public override void SaveStateDict(BinaryWriter writer)
        {
            writer.Write(Step);
            FirstMoment.Save(writer);
            SecondMoment.Save(writer);
        }

        public override void LoadStateDict(BinaryReader reader)
        {
            Step = reader.ReadInt64();
            FirstMoment.Load(reader);
            SecondMoment.Load(reader);
        }

        public override void LoadStateDict(OptimizerState source)
        {
            using var withoutGradient = no_grad();
            var state = (State)source;
            Step = state.Step;
            FirstMoment.copy_(state.FirstMoment);
            SecondMoment.copy_(state.SecondMoment);
        }

        public override bool ApproximatelyEquals(OptimizerState other) =>
            other is State state && Step == state.Step && FirstMoment.allclose(state.FirstMoment) && SecondMoment.allclose(state.SecondMoment);

        /// <summary>Refuses moments that do not lie where the parameter does: the pass over memory would read an address of another device.</summary>
        /// <exception cref="OptimizerStateException">They do not.</exception>
        public void CheckDevice(string name, Parameter parameter)
        {
            if (parameter.IsInvalid || (IsWith(FirstMoment) && IsWith(SecondMoment))) return;
            throw new OptimizerStateException(
                $"The moments of '{name}' are on {FirstMoment.device}, the parameter is on {parameter.device}. to() moves an optimizer's moments alone: move the model, and create the optimizer after that.");

            bool IsWith(Tensor moment) => moment.device_type == parameter.device_type && moment.device_index == parameter.device_index;
        }

        public void Dispose()
        {
            FirstMoment.Dispose();
            SecondMoment.Dispose();
        }

        private static Tensor Zeros(Parameter parameter)
        {
            using var withoutGradient = no_grad();
            return zeros(parameter.shape, parameter.dtype, parameter.device).DetachFromDisposeScope();
        }

        private static Tensor Move(Tensor tensor, Device device)
        {
            var moved = tensor.to(device).DetachFromDisposeScope();
            if (!ReferenceEquals(moved, tensor)) tensor.Dispose();
            return moved;
        }
    }
}
