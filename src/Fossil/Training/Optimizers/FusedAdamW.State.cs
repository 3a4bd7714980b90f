using Fossil.Kernels;
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
    private sealed class State : OptimizerState, IDisposable
    {
        public State(Parameter parameter, FlatBuffers.Slot? slot)
            : base(parameter)
        {
            using var withoutGradient = no_grad();
            (FirstMoment, SecondMoment) = slot?.Moments() ?? (zeros_like(parameter), zeros_like(parameter));
            FirstMoment.DetachFromDisposeScope();
            SecondMoment.DetachFromDisposeScope();
        }

        public long Step { get; set; }

        public Tensor FirstMoment { get; private set; }

        public Tensor SecondMoment { get; private set; }

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

            bool IsWith(Tensor moment) => DevicePlace.Of(moment) == DevicePlace.Of(parameter);
        }

        public void Dispose()
        {
            FirstMoment.Dispose();
            SecondMoment.Dispose();
        }

        private static Tensor Move(Tensor tensor, Device device)
        {
            var moved = tensor.to(device).DetachFromDisposeScope();
            if (!ReferenceEquals(moved, tensor)) tensor.Dispose();
            return moved;
        }
    }

    /// <summary>One parameter with all that belongs to it.</summary>
    /// <param name="Name">Its name.</param>
    /// <param name="Parameter">The parameter.</param>
    /// <param name="State">Its moments.</param>
    /// <param name="Group">Its settings.</param>
    /// <param name="Slot">Its place in the buffers; null for a parameter that is none of an adapted model's, whose memory is left where it is.</param>
    private sealed record Entry(string Name, Parameter Parameter, State State, ParamGroup<Options> Group, FlatBuffers.Slot? Slot)
    {
        /// <summary>What the next update needs to know of the settings.</summary>
        public AdamWCoefficients Coefficients()
        {
            var options = Group.Options;
            return new(options.LearningRate!.Value, options.Beta1, options.Beta2, options.Epsilon, options.WeightDecay, State.Step);
        }

        /// <summary>A new tensor on the gradient; null where there is none.</summary>
        /// <param name="haveGradients">Which slots hold one.</param>
        public Tensor? FindGradient(IReadOnlyDictionary<FlatBuffers, bool[]> haveGradients)
        {
            if (Parameter.IsInvalid || Parameter.grad is not { } gradient) return null;
            if (Slot is null || (Slot.HoldsGradient(gradient) ? haveGradients[Slot.Buffers][Slot.Index] : FlatBuffers.HasGradient(gradient))) return gradient;
            gradient.Dispose();
            return null;
        }

        /// <summary>Whether everything lies in the slot.</summary>
        public bool IsFlat(Tensor gradient) => Slot is not null && Slot.HoldsGradient(gradient) && Slot.HoldsValues() && Slot.HoldsMoments(State.FirstMoment, State.SecondMoment);

        /// <summary>Whether it is updated just as the entry before it, and lies right behind it.</summary>
        public bool Continues(Entry before) => Slot!.Follows(before.Slot!) && Group == before.Group && State.Step == before.State.Step;

        /// <summary>Takes the gradient out.</summary>
        /// <param name="showZeros">Whether it is zeros in the slot then, for libtorch to add to.</param>
        public void ClearGradient(bool showZeros)
        {
            if (Parameter.IsInvalid) return;
            if (showZeros && Slot is not null && Parameter.requires_grad) Slot.ShowGradient();
            else Parameter.grad = null;
        }
    }
}
